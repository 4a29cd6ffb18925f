/*
 * The console's page. What comes from the network is only ever put in as text. A record of the
 * statistics comes each second (/api/stream); rates are made of two of them.
 */
'use strict';

const $ = (id) => document.getElementById(id);

const state = {
	now: null, before: null, at: 0, seconds: 0,
	paused: false, away: false, wait: 0, range: 'hour', events: [], plots: {}, histories: {},
	needs: { token: false, admin: false },
	token: sessionStorage.getItem('token') || '',
};

/* ---- Elements ---- */

function element(tag, properties, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(properties || {})) {
		if (name === 'on') e.addEventListener('click', value);
		else if (name === 'name') e.dataset.name = value;
		else if (name in e) e[name] = value;
		else e.setAttribute(name, value);
	}
	e.append(...children.filter((c) => c !== null && c !== undefined));
	return e;
}

/* What a link or a button is called, so that it is found again when what it is in is made anew. */
const nameOf = (e) => e.dataset.name || e.hash;

function focusOn(name, container) {
	if (name)
		[...container.querySelectorAll('a, button')].find((e) => nameOf(e) === name)?.focus({ preventScroll: true });
}

/* The name of what has the focus within a container. */
function focused(container) {
	const e = document.activeElement;
	return container.contains(e) && e !== container ? nameOf(e) : null;
}

/* Replaces what is in a container, unless somebody is about to press something in it. What has the focus keeps it. */
function renew(container, ...children) {
	if (container.querySelector(':active')) return;
	const had = focused(container);
	const lefts = [...container.querySelectorAll('.wide')].map((e) => e.scrollLeft);
	container.replaceChildren(...children);
	[...container.querySelectorAll('.wide')].forEach((e, i) => { e.scrollLeft = lefts[i] || 0; });
	focusOn(had, container);
}

const cell = (value, numeric) => element('td', numeric ? { className: 'n' } : {}, value ?? '');

function table(heads, rows, caption) {
	const head = heads.map(([title, numeric]) => element('th', { scope: 'col', className: numeric ? 'n' : '' }, title));
	return element('table', {},
		caption ? element('caption', { className: 'unseen' }, caption) : null,
		element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...rows));
}

/* ---- Numbers ---- */

function short(n) {
	if (n === null || n === undefined || Number.isNaN(n)) return '–';
	for (const [unit, size] of [['G', 1e9], ['M', 1e6], ['k', 1e4]])
		if (Math.abs(n) >= size) return (n / (unit === 'k' ? 1e3 : size)).toFixed(1) + unit;
	return n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
}

function duration(s) {
	const units = [['d', 86400], ['h', 3600], ['m', 60]];
	for (const [i, [unit, size]] of units.entries()) {
		if (s < size) continue;
		const [next, nextSize] = units[i + 1] || ['s', 1];
		return `${Math.floor(s / size)}${unit} ${Math.floor((s % size) / nextSize)}${next}`;
	}
	return `${Math.max(0, Math.floor(s))}s`;
}

const since = (time) => time ? duration((Date.now() - Date.parse(time)) / 1000) : '–';
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/* By how much a counter has grown in a second; null if that isn't known. */
function rate(now, before) {
	return before === undefined || now < before || state.seconds <= 0 ? null : (now - before) / state.seconds;
}

/* ---- Asking ---- */

function headers(more) {
	return { ...(state.token ? { Authorization: `Bearer ${state.token}` } : {}), ...more };
}

/* The records of an answer, and its last line. */
async function ask(path) {
	const response = await fetch(path, { headers: headers() });
	const text = await response.text();
	if (response.status === 401) say('This console takes a token.');
	const lines = text.split('\n').filter((line) => line).map((line) => JSON.parse(line));
	const end = lines.pop() || {};
	return { ok: response.ok, records: lines, end, why: end.error?.message || '' };
}

async function change(...words) {
	const response = await fetch('/api/do', {
		method: 'POST', headers: headers({ 'Content-Type': 'application/json' }), body: JSON.stringify({ do: words }),
	});
	const lines = (await response.text()).split('\n').filter((line) => line);
	const end = JSON.parse(lines.pop() || '{}');
	sayDone(response.ok ? `Done: ${words.join(' ')}` : `${words.join(' ')}: ${end.error?.message || response.status}`);
}

function say(text) {
	$('banner').textContent = text;
	$('banner').hidden = !text;
}

/* What need not be said for long. */
function sayDone(text) {
	say(text);
	setTimeout(() => $('banner').textContent === text && say(''), 8000);
}

/* A question with one field; null if it was cancelled. Who was asked finds the focus where it was, as often as the page has been
 * made anew meanwhile. */
function question(title, text, label, value, type) {
	const had = focused(document.body);
	$('dialog-title').textContent = title;
	$('dialog-text').textContent = text;
	$('dialog-label').textContent = label || '';
	$('dialog-input').hidden = !label;
	$('dialog-input').type = type || 'text';
	$('dialog-input').value = value || '';
	$('dialog-ok').focus();
	return new Promise((resolve) => {
		$('dialog').addEventListener('close', () => {
			focusOn(had, document);
			resolve($('dialog').returnValue === 'ok' ? $('dialog-input').value : null);
		}, { once: true });
		$('dialog').returnValue = 'cancel';
		$('dialog').showModal();
	});
}

/* ---- Health ---- */

function health(server) {
	if (server.state === 'disabled' || server.state === 'drain' || server.weight === 0)
		return ['idle', server.state === 'active' ? 'weight 0' : server.state];
	return server.health === 'up' ? ['up', 'up'] : server.health === 'down' ? ['down', 'down'] : ['idle', 'unknown'];
}

function badge([kind, text]) {
	return element('span', { className: `is ${kind}` }, text);
}

const failure = (server) => (server.failed_port ? `port ${server.failed_port}: ` : '') + (server.failed_why || '');
const why = (server) => server.health === 'down' ? failure(server) : '';

/* ---- Overview ---- */

function tile(value, text, bad) {
	return element('div', { className: bad ? 'tile bad' : 'tile' }, element('b', {}, value), element('span', {}, text));
}

function showTiles(now, before) {
	const servers = now.farms.flatMap((farm) => farm.servers.filter((server) => !server.removed));
	const up = servers.filter((server) => server.health === 'up').length;
	/* one-armed, there is no inside */
	const sides = ['outside', 'inside'].filter((side) => now.ports[side]);
	const links = sides.map((side) => now.ports[side]);
	const portsBefore = sides.map((side) => before?.ports[side]);
	const lost = sum(links.map((port) => port.missed + port.send_failed));
	$('tiles').replaceChildren(
		tile(`${up} of ${servers.length}`, 'servers up', up < servers.length),
		tile(short(now.flows.open), `connections of ${short(now.flows.capacity)}`),
		tile(short(rate(now.flows.created, before?.flows.created)), 'new a second'),
		tile(short(rate(now.flows.refused, before?.flows.refused)), `refused a second, ${short(now.flows.refused)} in all`),
		tile(short(rate(now.frames.received, before?.frames.received)), 'frames a second'),
		tile(links.map((port) => port.link || '–').join(' / '), links.map((port) => port.name).join(' / '),
			links.some((port) => port.link && port.link !== 'up')),
		tile(links.map((port, i) => shortBits(rate(port.received_bytes, portsBefore[i]?.received_bytes))).join(' / '), `bit/s, from ${sides.join(' / ')}`),
		tile(short(lost), 'frames missed or not sent', lost > 0),
		tile(now.fast_path.active ? 'kernel' : 'sockets', 'way of the frames'),
	);
}

const shortBits = (bytes) => short(bytes === null ? null : 8 * bytes);

/* A bar of a server's connections; the mark is its share by weight. */
function bar(server, farm) {
	const all = farm.servers.filter((s) => !s.removed);
	const weights = sum(all.map((s) => s.weight)) || 1;
	const flows = sum(all.map((s) => s.connections));
	const most = Math.max(1, ...all.map((s) => Math.max(s.connections, flows * s.weight / weights)));
	const share = flows * server.weight / weights;
	const filled = element('i'), mark = element('u');
	filled.style.width = `${100 * server.connections / most}%`;
	mark.style.left = `calc(${100 * share / most}% - 1px)`;
	return element('div', { className: 'bar', role: 'img', title: `${server.connections} connections; by weight ${Math.round(share)}`,
		'aria-label': `${server.connections} connections, by its weight it would be ${Math.round(share)}` }, filled, mark);
}

/* What the server's connections carry in a second, both ways. */
function bits(server, before) {
	const carried = (s) => s && s.client_bytes + s.server_bytes;
	const bytes = rate(carried(server), carried(before));
	return bytes === null ? null : 8 * bytes;
}

const connect = (ms) => ms > 0 ? ms.toFixed(2) : '–';

/* Where the farm's VIP is. */
const address = (farm) => farm.vip + (farm.vlan ? ` vlan ${farm.vlan}` : '');

/* Of several on a machine each has a console. */
const instance = (ports) => [ports.outside, ports.inside].filter(Boolean).map((port) => port.name).join('-');

const same = (list, name) => list?.find((one) => one.name === name);

function serverRow(server, farm, before) {
	return element('tr', {},
		element('th', { scope: 'row', title: server.name }, server.name), cell(badge(health(server))), cell(since(server.since)),
		cell(server.weight, true), cell(bar(server, farm)), cell(short(server.connections), true),
		cell(short(rate(server.connections_total, before?.connections_total)), true), cell(short(bits(server, before)), true),
		cell(connect(server.connect_p50_ms), true), cell(connect(server.connect_p99_ms), true),
		element('td', { className: 'why' }, why(server)));
}

const SERVER_HEADS = [['Server'], ['Health'], ['for'], ['Weight', 1], ['Connections by weight'], ['', 1], ['New/s', 1],
	['bit/s', 1], ['Connect ms, half', 1], ['99 %', 1], ['']];

function showFarms(now, before) {
	renew($('farms'), ...now.farms.map((farm) => {
		const old = same(before?.farms, farm.name)?.servers;
		return element('div', { className: 'farm' },
			element('h3', {}, element('a', { href: `#farm/${encodeURIComponent(farm.name)}` }, farm.name),
				element('span', {}, address(farm)), badge(farm.up ? ['up', 'up'] : ['down', 'down'])),
			element('div', { className: 'wide' }, table(SERVER_HEADS,
				farm.servers.map((server) => serverRow(server, farm, same(old, server.name))), `Servers of ${farm.name}`)));
	}));
}

function showRefused(now, before) {
	const refused = Object.entries(now.refusals).sort((a, b) => b[1] - a[1]);
	$('refused').replaceChildren(...refused.map(([name, n]) => {
		const r = rate(n, before ? before.refusals[name] || 0 : undefined);
		return element('span', { className: 'refusal' }, element('b', {}, name), ` ${short(n)}, ${short(r)}/s`);
	}));
	if (!refused.length) $('refused').textContent = 'Nothing so far.';
}

function showReasons(now, before) {
	const rows = Object.entries(now.reasons)
		.map(([name, n]) => [name, n, rate(n, before ? before.reasons[name] || 0 : undefined)])
		.sort((a, b) => b[1] - a[1]).slice(0, 14)
		.map(([name, n, r]) => element('tr', {}, element('th', { scope: 'row' }, name), cell(short(n), true), cell(short(r), true)));
	$('reasons').tBodies[0].replaceChildren(...rows);
}

/* ---- A farm ---- */

function actions(server) {
	if (!state.needs.admin || !state.token) return '';
	const run = (...words) => async () => {
		if (await question(words.join(' '), 'Do it?') !== null) change(...words);
	};
	const weigh = async () => {
		const weight = await question(`Weight of ${server.name}`, 'Its share of new connections, 0-100.', 'Weight', server.weight);
		if (weight !== null) change('server', 'weight', server.name, weight);
	};
	const button = (title, on) => element('button',
		{ type: 'button', on, name: `${title} ${server.name}`, 'aria-label': `${title} ${server.name}` }, title);
	return element('span', { className: 'actions' },
		button('Drain', run('server', 'drain', server.name)), button('Enable', run('server', 'enable', server.name)),
		button('Disable', run('server', 'disable', server.name)), button('Weight', weigh));
}

/* A value that somebody has laid over the file's is marked, and says the file's. */
function overridden(value, inFile, numeric) {
	const e = cell(inFile === undefined ? value : `${value} *`, numeric);
	if (inFile !== undefined) e.title = `in the file: ${inFile}`;
	return e;
}

const FARM_HEADS = [['Server'], ['Address'], ['Health'], ['for'], ['State'], ['Weight', 1], ['Connections', 1], ['Half-open', 1],
	['In all', 1], ['Probes', 1], ['failed', 1], ['Last failure'], ['']];

function farmRow(server) {
	return element('tr', {},
		element('th', { scope: 'row', title: server.name }, server.name), cell(server.address), cell(badge(health(server))), cell(since(server.since)),
		overridden(server.state, server.state_in_file), overridden(server.weight, server.weight_in_file, true), cell(server.connections, true),
		cell(server.half_open, true), cell(short(server.connections_total), true), cell(short(server.probes_ok), true),
		cell(short(server.probes_failed), true),
		element('td', { className: 'why' }, failure(server)),
		cell(actions(server)));
}

function showFarm(now, name) {
	const farm = same(now.farms, name);
	$('farm-title').textContent = farm ? `Farm ${name}` : `There is no farm ${name}`;
	if (!farm) return;
	$('farm-facts').replaceChildren(address(farm), ' ', badge(farm.up ? ['up', 'up'] : ['down', 'down']));
	renew($('farm-servers'), table(FARM_HEADS, farm.servers.map(farmRow), `Servers of ${name}`));
	$('farm-snat').replaceChildren(table([['Address'], ['Ports in use', 1]],
		farm.snat.map((snat) => element('tr', {}, cell(snat.address), cell(snat.ports_in_use, true))), 'SNAT addresses'));
	const full = farm.snat_fullest;
	$('farm-fullest').textContent = full ? `Fullest: ${full.address} to ${full.server}${full.port === null ? '' : `:${full.port}`}, `
		+ `${full.ports_in_use} of ${full.ports} ports (${(100 * full.ports_in_use / full.ports).toFixed(1)} %)` : '';
}

/* ---- Plots ---- */

const COLOURS = ['#3b82c4', '#d9822b', '#2f9e63', '#b04fc4', '#c4453b', '#7a8793', '#1fa7a7', '#a58f1d'];

/* What is under the pointer, or just which colour is whose. The library's own legend would set styles by
 * text, which the page's policy forbids. */
function showLegend(id, x, points) {
	const graph = state.plots[id]?.graph;
	if (!graph) return;
	const names = graph.getLabels().slice(1).map((label, i) => {
		const value = points?.find((point) => point.name === label)?.yval;
		const name = element('b', {}, label);
		name.style.color = graph.getColors()[i];
		return element('span', {}, name, value === undefined ? '' : ` ${short(value)}`);
	});
	$(id).previousElementSibling.querySelector('.legend').replaceChildren(
		...names, x === null ? '' : new Date(x).toLocaleTimeString([], { hour12: false }));
}

/* Without the time before anything was known, but for some of it. */
function known(rows) {
	const first = rows.findIndex((row) => row.slice(1).some((value) => value !== null));
	return rows.slice(Math.max(0, Math.min(first, rows.length - 300)));
}

function plot(id, names, labels) {
	const history = state.histories[id];
	if (!window.Dygraph || !history || !names.length) return;
	const shown = names.filter((name) => history.series[name]);
	if (!shown.length) return;
	const n = history.series[shown[0]].length;
	const rows = known(Array.from({ length: n }, (_, i) =>
		[new Date(1000 * (history.end - (n - 1 - i) * history.step)), ...shown.map((name) => history.series[name][i])]));
	const titles = ['time', ...shown.map((name) => labels[names.indexOf(name)])];
	if (state.plots[id]?.key === titles.join()) {
		state.plots[id].graph.updateOptions({ file: rows });
		return;
	}
	state.plots[id]?.graph.destroy();
	const line = getComputedStyle(document.documentElement).getPropertyValue('--line');
	state.plots[id] = { key: titles.join(), graph: new Dygraph($(id), rows, {
		labels: titles, colors: COLOURS, legend: 'never', includeZero: true, gridLineColor: line, axisLineColor: line,
		strokeWidth: 1.4, axes: { y: { axisLabelWidth: 42, axisLabelFormatter: (value) => short(value) } },
		highlightCallback: (event, x, points) => showLegend(id, x, points),
		unhighlightCallback: () => showLegend(id, null),
	}) };
	showLegend(id, null);
}

async function loadPlot(id, names, labels) {
	const query = new URLSearchParams({ range: state.range, names: names.join() });
	const response = await fetch(`/api/history?${query}`, { headers: headers() });
	if (!response.ok) return;
	state.histories[id] = await response.json();
	plot(id, names, labels);
}

function loadPlots() {
	const [page, name] = where();
	if (!state.now) return;
	if (page === 'overview') {
		loadPlot('plot-new', ['new', 'refused'], ['new', 'refused']);
		loadPlot('plot-open', ['open'], ['open']);
	}
	const farm = page === 'farm' && state.now ? same(state.now.farms, name) : null;
	if (farm) {
		const servers = farm.servers.filter((server) => !server.removed).slice(0, 16).map((server) => server.name);
		loadPlot('plot-farm', servers.map((server) => `${name}/${server}:flows`), servers);
	}
}

/* ---- Flows ---- */

const FLOW_MEMBERS = [['client', 'Client'], ['vip', 'VIP'], ['snat', 'SNAT'], ['server', 'Server'], ['server_name', ''], ['farm', 'Farm'],
	['state', 'State'], ['age_ms', 'Age'], ['idle_ms', 'Idle'], ['client_bytes', 'From client'], ['server_bytes', 'From server']];

function flowCell(member, value) {
	if (member.endsWith('_ms')) return cell(duration(value / 1000), true);
	return typeof value === 'number' ? cell(short(value), true) : cell(String(value ?? ''));
}

async function showFlows(path) {
	$('flows-said').textContent = 'Asking…';
	const answer = await ask(path);
	const flows = answer.records.filter((record) => record.client);
	$('flows-said').textContent = !answer.ok ? answer.why || 'That could not be asked.'
		: `${flows.length} flow${flows.length === 1 ? '' : 's'}${answer.end.cut ? ', and more that are not shown' : ''}`;
	const rows = flows.map((flow) => element('tr', {}, ...FLOW_MEMBERS.map(([member]) => flowCell(member, flow[member]))));
	$('flows-table').replaceChildren(rows.length
		? table(FLOW_MEMBERS.map(([member, title]) => [title, /_ms|_bytes/.test(member)]), rows, 'Flows') : '');
}

/* ---- Events ---- */

const LEVELS = ['debug', 'info', 'notice', 'warning', 'err', 'error', 'crit'];

function clock(time) {
	const date = new Date(time), day = date.toDateString() === new Date().toDateString() ? '' : `${date.toLocaleDateString()} `;
	return day + date.toLocaleTimeString([], { hour12: false });
}

function eventItem(event) {
	const level = event.level === 'error' ? 'err' : event.level;
	return element('li', { className: level }, element('time', { dateTime: event.time }, clock(event.time)),
		element('span', {}, level === 'info' ? '' : `${event.level}: `, event.about ? element('b', {}, `${event.about}: `) : '', event.text));
}

function showEvents() {
	const least = LEVELS.indexOf($('events-level').value);
	const newest = [...state.events].reverse();
	$('last').replaceChildren(...newest.slice(0, 10).map(eventItem));
	$('events').replaceChildren(...newest.filter((event) => LEVELS.indexOf(event.level) >= least).map(eventItem));
}

function addEvent(event) {
	if (state.events.some((known) => known.event === event.event)) return;
	state.events.push(event);
	state.events.sort((a, b) => a.event - b.event);
	state.events = state.events.slice(-1000);
}

/* ---- Rules ---- */

const DIFF_HEADS = [['Server'], ['Key'], ['Now'], ['In the file'], ['By user'], ['Since']];

function diffRow(record) {
	return element('tr', {}, cell(record.server ?? record.farm ?? ''), cell(record.key), cell(String(record.value)), cell(String(record.file)),
		cell(record.uid), cell(record.at ? clock(record.at) : ''));
}

async function showRules() {
	const [rules, diff] = [await ask('/api/config'), await ask('/api/diff')];
	const differs = diff.records.filter((record) => record.key);
	$('reload').hidden = !state.needs.admin || !state.token;
	$('rules-said').textContent = rules.ok ? '' : rules.why;
	$('rules').textContent = rules.records.map((record) => record.text ?? '').join('\n');
	$('rules-diff').replaceChildren(differs.length ? table(DIFF_HEADS, differs.map(diffRow), 'Differences')
		: diff.ok ? 'Nothing.' : diff.why);
}

/* ---- Pages ---- */

/* ["farm", "web"] */
function where() {
	const [page, name] = location.hash.slice(1).split('/');
	let decoded = '';
	try {
		decoded = decodeURIComponent(name || '');
	} catch { /* somebody has typed it: no farm is called so */ }
	return [$(`page-${page}`) ? page : 'overview', decoded];
}

function show() {
	const [page, name] = where();
	if (!state.now) return;
	$('about').textContent = `${instance(state.now.ports)}, ${state.now.version}, up ${duration(state.now.uptime_s)}`;
	if (page === 'overview') {
		showTiles(state.now, state.before);
		showFarms(state.now, state.before);
		showReasons(state.now, state.before);
		showRefused(state.now, state.before);
	}
	if (page === 'farm') showFarm(state.now, name);
}

function turn() {
	const asks = !state.needs.token || state.token;
	const [page] = where();
	for (const section of document.querySelectorAll('main > section'))
		section.hidden = section.id !== `page-${page}`;
	for (const link of document.querySelectorAll('nav a')) {
		const here = link.hash === `#${page}` || (page === 'farm' && link.hash === '#overview');
		if (here) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	document.title = `tmbridge: ${page}`;
	show();
	loadPlots();
	if (page === 'rules' && asks) showRules();
	if (page === 'flows' && asks && !$('flows-table').hasChildNodes()) showFlows('/api/flows');
}

/* ---- The stream ---- */

function take(kind, data) {
	if (kind === 'log') {
		addEvent(JSON.parse(data));
		showEvents();
	} else if (kind === 'away') {
		if (!state.away) say(`No figures: ${JSON.parse(data).why}.`);
		state.away = true;
	} else if (kind === 'figures' && !state.paused) {
		const first = !state.now;
		if (state.away) say('');
		state.away = false;
		state.before = state.now;
		state.now = JSON.parse(data);
		if (state.before && state.now.uptime_s < state.before.uptime_s) {
			/* another process: its counters and events begin anew */
			state.before = null;
			state.events = [];
			loadEvents();
		}
		state.seconds = state.before ? state.now.uptime_s - state.before.uptime_s : 0;
		show();
		if (first) loadPlots();
	}
}

/* By fetch(), as EventSource can't say a token. */
async function follow() {
	const response = await fetch('/api/stream', { headers: headers() });
	if (response.status === 401) {
		state.token = '';
		sessionStorage.removeItem('token');
		return;
	}
	if (!response.ok) throw new Error(response.status === 503 ? 'Too many look at this console' : `The console says ${response.status}`);
	state.wait = 0;
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = '';
	for (let part = await reader.read(); !part.done; part = await reader.read()) {
		const messages = (rest + part.value).split('\n\n');
		rest = messages.pop();
		for (const message of messages) {
			const parts = /^event: (\w+)\ndata: (.*)$/s.exec(message);
			if (parts) take(parts[1], parts[2]);
		}
	}
}

async function loadEvents() {
	const answer = await ask('/api/events?limit=1000');
	answer.records.filter((record) => record.event !== undefined).forEach(addEvent);
	showEvents();
}

/* Resolves when there is a token, if one is needed. */
async function admitted() {
	state.needs = await (await fetch('/api/needs')).json();
	$('login').hidden = !state.needs.token && !state.needs.admin;
	if (!state.needs.token || state.token) return;
	say('This console takes a token: see the button above.');
	await new Promise((resolve) => { state.admit = resolve; });
}

/* Tries again after 2 s, then 4, up to half a minute, and not all who look at the same moment. */
async function pause() {
	const seconds = Math.min(30, 2 * 2 ** state.wait);
	state.wait = Math.min(state.wait + 1, 4);
	await new Promise((resolve) => { setTimeout(resolve, 1000 * seconds * (0.75 + Math.random() / 2)); });
}

async function run() {
	for (;;) {
		try {
			await admitted();
			loadPlots();
			await loadEvents();
			await follow();
			if (state.token || !state.needs.token) say('The console has gone; trying again.');
		} catch (error) {
			say(error instanceof TypeError ? 'The console does not answer; trying again.' : `${error.message}; trying again.`);
			state.away = true;
		}
		await pause();
	}
}

/* ---- Buttons ---- */

function setTheme(theme) {
	if (theme) document.documentElement.dataset.theme = theme;
	$('theme').textContent = isDark() ? 'Light' : 'Dark';
	for (const id of Object.keys(state.plots)) {
		state.plots[id].graph.destroy();
		delete state.plots[id];
	}
	loadPlots();
}

function isDark() {
	const theme = document.documentElement.dataset.theme;
	return theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function start() {
	if (window.Dygraph) Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
	$('theme').textContent = isDark() ? 'Light' : 'Dark';
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
		if (!document.documentElement.dataset.theme) setTheme('');
	});
	$('theme').addEventListener('click', () => setTheme(isDark() ? 'light' : 'dark'));
	$('pause').addEventListener('click', () => {
		state.paused = !state.paused;
		$('pause').setAttribute('aria-pressed', state.paused);
		$('pause').textContent = state.paused ? 'Go on' : 'Pause';
	});
	$('login').addEventListener('click', async () => {
		const token = await question('Token', 'The word in the console\'s --token-file. It is kept until this tab is closed.', 'Token', '', 'password');
		if (token === null) return;
		state.token = token.trim();
		sessionStorage.setItem('token', state.token);
		say('');
		state.admit?.();
		turn();
	});
	for (const button of document.querySelectorAll('[data-range]'))
		button.addEventListener('click', () => {
			state.range = button.dataset.range;
			for (const other of document.querySelectorAll('[data-range]'))
				other.setAttribute('aria-pressed', other === button);
			loadPlots();
		});
	$('flows-form').addEventListener('submit', (event) => {
		event.preventDefault();
		showFlows(`/api/flows?${new URLSearchParams({ q: $('flows-q').value })}`);
	});
	$('who-form').addEventListener('submit', (event) => {
		event.preventDefault();
		showFlows(`/api/who?${new URLSearchParams({ q: $('who-q').value })}`);
	});
	$('reload').addEventListener('click', async () => {
		if (await question('reload', 'Read the file again?') !== null) change('reload').then(showRules);
	});
	$('events-level').addEventListener('change', showEvents);
	document.querySelector('.skip').addEventListener('click', (event) => {
		event.preventDefault(); /* the hash says which page it is */
		$('main').focus();
	});
	$('dialog-cancel').addEventListener('click', () => $('dialog').close('cancel'));
	addEventListener('hashchange', turn);
	setInterval(() => state.paused || state.away || document.hidden || loadPlots(), 5000);
	turn();
	run();
}

start();
