// The history of this host: transitions that have ended, and what happened. It only reads.

import { attr, byId, h, list, setText, show } from '../parts/dom.js';
import { clock, printable } from '../parts/words.js';
import { EventLink } from './event-link.js';
import { card, keyOf } from './records.js';

/** The schema version of this page. */
const SCHEMA = 2;
/** Transitions that are asked for, at first and whenever more are wanted. */
const LIMITS = [50, 250, 1000, 10_000];
/** Events that are kept, and that are shown at first and whenever more are wanted. */
const KEPT = 1000;
const STEP = 100;
/** After these events the history has a new transition; it is written a little later. */
const ENDS = ['transition_ended', 'patch_refused', 'watch_began'];
const WRITTEN_AFTER = [300, 3000];

const TONES = { warning: 'warn', danger: 'alarm' };

let records = null;
let limit = 0;
/** Why there are no transitions; `null` if they were read. */
let missing = null;
/** Oldest first. */
let events = [];
let known = new Set();
let shown = STEP;
let head = null;
let trouble = null;

const stream = new EventLink(`api/v1/events/stream?limit=${KEPT}`, take, changed);

const nameOf = ({ id, boot_id: boot, at }) => `${id} ${boot} ${at}`;

function take(news) {
	for (const event of news) {
		if (known.has(nameOf(event))) continue;
		known.add(nameOf(event));
		events.push(event);
	}
	events = events.slice(-KEPT);
	if (known.size > 2 * KEPT) known = new Set(events.map(nameOf));
	note(news.at(-1));
	if (news.some(({ kind }) => ENDS.includes(kind))) {
		for (const wait of WRITTEN_AFTER) setTimeout(read, wait);
	}
	draw();
}

/** What every document begins with. */
function note(document_) {
	head = document_;
	trouble = head.schema_version === SCHEMA ? null : 'The daemon is another version than this page: reload it.';
}

/** Reads the transitions; what cannot be read now is read when the daemon is back. */
async function read() {
	try {
		const response = await fetch(`api/v1/history?limit=${LIMITS[limit]}`, { headers: { accept: 'application/json' }, cache: 'no-store' });
		if (response.ok) {
			const answer = await response.json();
			note(answer);
			records = answer.transitions;
			missing = null;
		} else {
			missing = response.status === 404 ? (await response.text()).trim() : `The transitions cannot be read: the daemon answers ${response.status} ${response.statusText}.`;
		}
	} catch {
		missing = 'The transitions cannot be read: the daemon does not answer.';
	}
	draw();
}

function changed() {
	if (stream.state === 'live') read();
	tell();
}

function draw() {
	try {
		drawPatches();
		const patch = byId('patch').value;
		drawRecords(patch);
		drawEvents(patch);
	} catch (error) {
		trouble = `A part of this page cannot be drawn: ${error.message}`;
		console.error(error);
	}
	tell();
}

/** The choice of patches; the chosen one stays. */
function drawPatches() {
	const names = [...(records ?? []).map(({ transition }) => transition.patch), ...events.map(({ patch }) => patch)];
	const choice = byId('patch').value;
	const all = [...new Set(['', choice, ...names.filter(Boolean).toSorted()])];
	list(byId('patch'), all, (name) => name, (name) => ({ node: h('option', { value: name }, name || 'all') }));
	byId('patch').value = choice;
}

function drawRecords(patch) {
	const all = (records ?? []).filter(({ transition }) => !patch || transition.patch === patch);
	list(byId('transitions-list'), all, keyOf, card);
	const none = records === null ? 'Unknown yet.' : `None${patch ? ` of ${patch}` : ''} that lpwatch knows of.`;
	show(byId('transitions-none'), missing !== null || all.length === 0);
	setText(byId('transitions-none'), missing ?? none);
	show(byId('transitions-more'), records !== null && records.length >= LIMITS[limit] && limit + 1 < LIMITS.length);
}

function drawEvents(patch) {
	const all = events.filter((event) => !patch || event.patch === patch).toReversed();
	list(byId('events-list'), all.slice(0, shown), nameOf, line);
	show(byId('events-none'), all.length === 0);
	setText(byId('events-none'), stream.heardAt === null ? 'Unknown yet.' : `None${patch ? ` of ${patch}` : ''} that lpwatch knows of.`);
	show(byId('events-more'), all.length > shown);
}

function line({ at, severity, message }) {
	const time = h('time', { datetime: at }, clock(at));
	return { node: h('li', {}, time, h('span', { 'data-tone': TONES[severity] }, severity === 'note' ? '' : severity), h('p', {}, message)) };
}

/** Shows whether the page is current. */
function tell() {
	const [state, words] = stream.words;
	attr(byId('link'), 'data-state', state);
	setText(byId('link-words'), words);
	if (head === null) return;
	setText(byId('host'), head.host);
	setText(byId('kernel'), head.kernel);
	setText(byId('taken'), trouble ?? `${head.host}, ${head.kernel}, as of ${clock(head.taken_at)} UTC`);
	document.title = printable(`History · ${head.host}`);
}

setInterval(() => {
	stream.tick();
	tell();
}, 1000);
document.addEventListener('visibilitychange', () => document.hidden || stream.retry());
byId('patch').addEventListener('change', () => {
	shown = STEP;
	draw();
});
byId('events-more').addEventListener('click', () => {
	shown += STEP;
	draw();
});
byId('transitions-more').addEventListener('click', () => {
	limit += 1;
	read();
});
stream.run();
