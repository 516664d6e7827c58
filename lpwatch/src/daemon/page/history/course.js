// The tasks left over time, small: as a drawing, in words and in numbers.

import { changes } from '../parts/burndown.js';
import { h, s } from '../parts/dom.js';
import { count, counted, duration } from '../parts/words.js';

const WIDTH = 320;
const HEIGHT = 56;
const TOP = 3;
/** Rows of the table: the first and the last ones. */
const ROWS = 40;

/** A figure of these points, which never change. */
export function course(points) {
	const falls = changes(points);
	if (falls.length === 0) return h('p', { class: 'quiet' }, 'How many tasks were left over time is unknown.');
	const words = told(points, falls);
	if (falls.length < 2) return h('p', { class: 'quiet' }, words);
	const svg = s('svg', { role: 'img', 'aria-label': words, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' }, ...curve(points));
	return h('figure', { class: 'course' }, svg, h('figcaption', { class: 'quiet' }, words), numbers(falls));
}

function told(points, falls) {
	const [first, last] = [falls[0], points.at(-1)];
	if (falls.length < 2) return `${counted(first.remaining, 'task')} left, as far as lpwatch saw it.`;
	const most = Math.max(...falls.map(({ remaining }) => remaining));
	const peak = most > first.remaining ? `, at most ${count(most)}` : '';
	return `Tasks left: ${count(first.remaining)}, in the end ${count(last.remaining)}${peak}, within ${duration(last.seconds - first.seconds)}.`;
}

function curve(points) {
	const [from, to] = [points[0].seconds, points.at(-1).seconds];
	const most = Math.max(1, ...points.map(({ remaining }) => remaining));
	const x = ({ seconds }) => (((seconds - from) / Math.max(to - from, 0.001)) * WIDTH).toFixed(1);
	const y = ({ remaining }) => (HEIGHT - (remaining / most) * (HEIGHT - TOP)).toFixed(1);
	let path = `M0 ${y(points[0])}`;
	for (const point of points.slice(1)) path += `H${x(point)}V${y(point)}`;
	return [
		s('path', { class: 'area', d: `${path}V${HEIGHT}H0Z` }),
		s('path', { class: 'curve', d: path }),
	];
}

function numbers(falls) {
	const half = ROWS / 2;
	const shown = falls.length > ROWS ? [...falls.slice(0, half), null, ...falls.slice(-half)] : falls;
	const row = (point) => (point === null ? h('tr', {}, h('td', {}, '…'), h('td', { class: 'number' }, '…'))
		: h('tr', {}, h('td', {}, duration(point.seconds)), h('td', { class: 'number' }, count(point.remaining))));
	const titles = h('tr', {}, h('th', { scope: 'col' }, 'Since first seen'), h('th', { scope: 'col', class: 'number' }, 'Tasks left'));
	return h('details', {}, h('summary', {}, 'The chart in numbers'),
		h('table', { class: 'numbers' }, h('thead', {}, titles), h('tbody', {}, ...shown.map(row))));
}
