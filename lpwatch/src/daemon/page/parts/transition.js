// A transition: its progress, what to do, the tasks left.

import { blockers } from './blockers.js';
import { changes, draw } from './burndown.js';
import { attr, h, lines, list, prose, s, setText, show } from './dom.js';
import { age, clock, count, COURSES, duration, left, UNKNOWN, way } from './words.js';

const WAYS = {
	checked: "after the kernel's check", user_return: 'on return to user space',
	idle: 'as idle tasks', forced: 'by force',
};
/** Rows of the numbers behind the chart. */
const ROWS = 200;

/** The section of one transition: `{ node, update(patch) }`. */
export function section({ name }) {
	const title = h('h2', { tabindex: '-1' }, `Transition of ${name}`);
	const phase = h('span', { class: 'badge' });
	const figures = h('dl', { class: 'figures' });
	const chart = burndown();
	const foretold = h('p', { class: 'foretold' });
	const steps = h('ol', { class: 'steps' });
	const tasks = blockers();
	const node = h('section', { class: 'card', 'aria-label': `Transition of ${name}` },
		h('div', { class: 'head' }, title, phase), figures,
		h('div', { class: 'columns' }, chart.node, h('div', {}, h('h3', {}, 'What to do'), steps, foretold)), tasks.node);

	const update = (patch) => {
		const { transition } = patch;
		setText(phase, transition.phase ?? 'phase unknown');
		attr(phase, 'data-tone', { stalled: 'alarm', slow: 'warn', long: 'warn', progressing: 'info' }[transition.phase]);
		list(figures, figuresOf(transition), ([term]) => term, figure);
		chart.update(patch);
		const { next, phase: at } = transition;
		lines(steps, next.length > 0 ? next : [at === 'progressing' ? 'Nothing. Most transitions end within seconds.' : 'No advice yet.'],
			(text) => prose(text, 'li'));
		foretell(foretold, patch.check);
		tasks.update(transition);
	};
	return { node, update };
}

function figuresOf(transition) {
	const { age_seconds: since, seconds_without_progress: idle, tries, signals, switched } = transition;
	const ways = Object.entries(WAYS).filter(([key]) => switched?.[key] > 0);
	const by = switched === null ? UNKNOWN : ways.map(([key, words]) => `${count(switched[key])} ${words}`).join(', ');
	return [
		['Tasks left', left(transition)],
		['Direction', way(transition) + (transition.forced ? ', forced' : '')],
		['Under way for', age(since)],
		['Without a switch for', age(idle)],
		["Kernel's tries", count(tries)],
		["Kernel's signals", count(signals)],
		['Switched', by || 'none so far'],
	];
}

function figure([term]) {
	const value = h('dd');
	return {
		node: h('div', {}, h('dt', {}, term), value),
		update: ([, text]) => setText(value, text),
	};
}

function foretell(node, check) {
	show(node, check);
	if (!check) return;
	const { checked_at: at, outcome, text, verdict } = check;
	setText(node, `The check at ${clock(at)} UTC expected ${COURSES[outcome]} (${verdict}): ${text}`);
}

function burndown() {
	const svg = s('svg', { class: 'chart', role: 'img' });
	const rows = h('tbody');
	const table = h('table', { class: 'numbers' },
		h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Since first seen'), h('th', { scope: 'col', class: 'number' }, 'Tasks left'))), rows);
	const node = h('figure', {}, svg,
		h('details', {}, h('summary', {}, 'The chart in numbers'), table));

	const update = (patch) => {
		const { transition } = patch;
		const points = transition.trend;
		attr(svg, 'hidden', points.length === 0 ? '' : null);
		draw(svg, points, transition);
		const last = changes(points).slice(-ROWS);
		list(rows, last, ({ seconds }) => seconds, () => row());
	};
	return { node, update };
}

function row() {
	const [when, remaining] = [h('td'), h('td', { class: 'number' })];
	return {
		node: h('tr', {}, when, remaining),
		update: (point) => {
			setText(when, duration(point.seconds));
			setText(remaining, count(point.remaining));
		},
	};
}
