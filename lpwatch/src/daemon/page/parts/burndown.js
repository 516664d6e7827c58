// The tasks left over time, as a chart and as numbers.

import { s } from './dom.js';
import { age, count, counted, duration } from './words.js';

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400];

/** Where the number changed. */
export function changes(points) {
	return points.filter((point, at) => points[at - 1]?.remaining !== point.remaining);
}

function told(points, { seconds_without_progress: idle }) {
	const falls = changes(points);
	if (falls.length === 0) return 'The progress is unknown.';
	const last = falls.length - 1;
	const picked = falls.length <= 6 ? falls : [0, 1, 2, 3, 4, 5].map((nth) => falls[Math.round((nth * last) / 5)]);
	const numbers = picked.map((point) => count(point.remaining)).join(', then ');
	const within = last > 0 ? ` within ${duration(falls[last].seconds - falls[0].seconds)}` : '';
	const since = idle === null ? '' : `; no task has switched for ${age(idle)}`;
	return `Tasks left: ${numbers}${within}${since}.`;
}

export function draw(svg, points, transition) {
	if (points.length === 0) return;
	const width = Math.max(260, Math.round(svg.getBoundingClientRect().width) || 640);
	const height = width < 480 ? 170 : 210;
	svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
	svg.setAttribute('aria-label', told(points, transition));
	const scale = scales(points, transition, width, height);
	svg.replaceChildren(...grid(scale), ...idle(scale, points, transition), ...curve(scale, points));
}

function scales(points, transition, width, height) {
	const most = Math.max(1, transition.tasks_total ?? 0, ...points.map((point) => point.remaining));
	const [from, to] = [points[0].seconds, points.at(-1).seconds];
	const box = { left: 14 + 7.5 * count(most).length, right: width - 14, top: 22, bottom: height - 38 };
	const span = Math.max(to - from, 1);
	const x = (seconds) => box.left + ((seconds - from) / span) * (box.right - box.left);
	const y = (remaining) => box.bottom - (remaining / most) * (box.bottom - box.top);
	return { box, x, y, most, from, span, width, height };
}

function grid({ box, x, y, most, from, span, width, height }) {
	const nodes = [];
	const magnitude = 10 ** Math.floor(Math.log10(most));
	const step = Math.max(1, [0.2, 0.25, 0.5, 1, 2].map((of) => of * magnitude).find((of) => most / of <= 4) ?? magnitude);
	for (let tick = 0; tick <= most; tick += Math.ceil(step)) {
		nodes.push(
			s('line', { class: tick === 0 ? 'axis' : 'grid', x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }),
			s('text', { x: box.left - 6, y: y(tick) + 4, 'text-anchor': 'end' }, count(tick)),
		);
	}
	const room = Math.max(2, Math.floor((box.right - box.left) / 70));
	const wide = STEPS.find((of) => span / of <= room) ?? Math.ceil(span / room / 86400) * 86400;
	for (let nth = Math.ceil(from / wide); nth * wide <= from + span; nth += 1) {
		const at = x(nth * wide);
		nodes.push(s('line', { class: 'tick', x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4 }));
		const anchor = at > box.right - 20 ? 'end' : at < box.left + 10 ? 'start' : 'middle';
		nodes.push(s('text', { x: at, y: box.bottom + 17, 'text-anchor': anchor }, wide < 1 ? duration(nth * wide) : age(nth * wide).replace(/.00.(s|min)$/, '')));
	}
	return [
		...nodes, s('text', { x: 2, y: 11 }, 'Tasks left'),
		s('text', { x: width - 14, y: height - 5, 'text-anchor': 'end' }, 'since lpwatch first saw it'),
	];
}

/** The time in which no task has switched. */
function idle({ box, x, from }, points, transition) {
	const seconds = transition.seconds_without_progress;
	if (seconds === null || transition.phase === 'progressing') return [];
	const start = x(Math.max(from, points.at(-1).seconds - seconds));
	const [width, height] = [box.right - start, box.bottom - box.top];
	if (width < 2) return [];
	const nodes = [s('rect', { class: 'idle', x: start, y: box.top, width, height })];
	const words = `no task has switched for ${age(seconds)}`;
	if (width > words.length * 6.6) {
		nodes.push(s('text', { class: 'idle-words', x: start + width / 2, y: box.top + height / 2, 'text-anchor': 'middle' }, words));
	}
	return nodes;
}

function curve({ box, x, y }, points) {
	const at = (number) => number.toFixed(1);
	let path = `M${at(x(points[0].seconds))} ${at(y(points[0].remaining))}`;
	for (const { seconds, remaining } of points.slice(1)) path += `H${at(x(seconds))}V${at(y(remaining))}`;
	const { seconds, remaining } = points.at(-1);
	const [endX, endY] = [x(seconds), y(remaining)];
	return [
		s('path', { class: 'area', d: `${path}V${at(box.bottom)}H${at(box.left)}Z` }),
		s('path', { class: 'curve', d: path }),
		s('circle', { class: 'now', cx: endX, cy: endY, r: 4 }),
		s('text', { class: 'now-words', x: Math.min(endX, box.right), y: Math.max(endY - 9, 12), 'text-anchor': 'end' }, counted(remaining, 'task')),
	];
}
