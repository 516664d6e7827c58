// The status page: shows what the daemon reports, and how old that is.

import * as calls from './parts/calls.js';
import { attr, byId, lines, list, setText, show } from './parts/dom.js';
import { patchRow } from './parts/patches.js';
import { pastRow, pastTitles, sight } from './parts/rest.js';
import { Link } from './parts/stream.js';
import { section } from './parts/transition.js';
import { doubt, judge } from './parts/verdict.js';
import { clock, printable } from './parts/words.js';

/** The schema version of this page. */
const SCHEMA = 2;
/** A shorter break, such as a restart of the daemon, raises no alarm. */
const PATIENCE = 5;
const PAST = 10;

let snapshot = null;
let verdict = null;
let isDrawn = true;
let trouble = null;

const link = new Link(take, tell);

function take(next) {
	try {
		verdict = judge(next);
		snapshot = next;
		trouble = next.schema_version === SCHEMA ? null : 'The daemon is another version than this page: reload it.';
	} catch (error) {
		trouble = `An answer of the daemon cannot be read: ${error.message}`;
	}
	tell();
	// Only the last of several is drawn, and none while the page is hidden.
	if (isDrawn) requestAnimationFrame(draw);
	isDrawn = false;
}

function draw() {
	isDrawn = true;
	if (snapshot === null) return;
	for (const part of [drawTransitions, drawPatches, drawCalls, drawPast, drawSight]) {
		try {
			part(snapshot);
		} catch (error) {
			// The other parts are drawn although this one fails.
			trouble = `A part of this page cannot be drawn: ${error.message}`;
			console.error(error);
		}
	}
	tell();
}

function drawTransitions({ patches }) {
	const moving = patches.filter((patch) => patch.transition);
	list(byId('transitions'), moving, ({ name }) => name, (patch) => section(patch));
}

function drawPatches({ patches }) {
	show(byId('patches-none'), patches.length === 0);
	setText(byId('patches-none'), 'No live patch is loaded.');
	const urgency = ({ transition, enabled }) => (transition ? 0 : enabled ? 1 : 2);
	list(byId('patches-list'), patches.toSorted((one, other) => urgency(one) - urgency(other)), ({ name }) => name, patchRow);
}

function drawCalls(now) {
	const functions = calls.functionsOf(now);
	show(byId('calls'), functions.length > 0);
	calls.update({ tiles: byId('calls-list'), more: byId('calls-more'), none: byId('calls-none') }, functions);
}

function drawPast({ last_transitions: past, taken_at: now }) {
	show(byId('past-table'), past.length > 0);
	show(byId('past-none'), past.length === 0);
	setText(byId('past-none'), 'None that lpwatch knows of.');
	const day = now.slice(0, 10);
	list(byId('past-rows'), past.slice(0, PAST), (one) => `${day} ${one.ended_at} ${one.patch} ${one.outcome}`, pastRow(now));
}

function drawSight(now) {
	sight({ notes: byId('notes'), probes: byId('probes-list'), words: byId('sight-words') }, now);
	setText(byId('taken'), `${now.host}, ${now.kernel}, as of ${clock(now.taken_at)} UTC`);
}

/** Shows the verdict, and whether it is current. */
function tell() {
	const [state, words] = link.words;
	attr(byId('link'), 'data-state', state);
	setText(byId('link-words'), words);
	const isOld = link.isQuiet || (link.state !== 'live' && (link.silence ?? Infinity) > PATIENCE);
	const why = snapshot === null && link.trouble === null
		? 'Unknown yet' : link.state === 'live' ? 'Unknown: the daemon is silent' : 'Unknown: the daemon does not answer';
	const shown = snapshot === null || isOld ? doubt(verdict, why) : verdict;
	const told = trouble === null ? shown.lines : [...shown.lines, trouble];
	attr(byId('verdict'), 'data-level', shown.level);
	attr(byId('verdict-mark'), 'd', shown.mark);
	setText(byId('verdict-words'), shown.words);
	lines(byId('verdict-lines'), told);
	if (snapshot !== null) {
		setText(byId('host'), snapshot.host);
		setText(byId('kernel'), snapshot.kernel);
	}
	document.title = printable(`${shown.words} · ${snapshot?.host ?? 'lpwatch'}`);
}

setInterval(() => {
	link.tick();
	tell();
}, 1000);
document.addEventListener('visibilitychange', () => document.hidden || link.retry());
addEventListener('resize', draw);
byId('past-titles').append(pastTitles());
link.run();
