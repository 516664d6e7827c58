// Ended transitions, and what is missing.

import { attr, h, lines, list, setText, show } from './dom.js';
import { clock, count, counted, COURSES, duration, errno, OUTCOMES } from './words.js';

const TONES = { completed: 'well', forced: 'warn', reversed: 'warn', unknown: 'warn', cancelled: 'alarm', refused: 'alarm' };
const COLUMNS = ['Ended (UTC)', 'Patch', 'What happened', 'Took', 'Tasks', 'Tries', 'Signals', 'Remarks'];
const NUMBERS = COLUMNS.slice(3, 7);

export function pastTitles() {
	return h('tr', { role: 'row' }, ...COLUMNS.map((title) =>
		h('th', { role: 'columnheader', scope: 'col', class: NUMBERS.includes(title) && 'number' }, title)));
}

/** A row, which never changes. */
export function pastRow(now) {
	return (past) => {
		const { patch, direction, outcome, ended_at: ended } = past;
		const what = h('span', { 'data-tone': TONES[outcome] }, OUTCOMES[outcome] ?? outcome);
		const cells = [
			clock(ended, now), patch ?? 'unknown patch',
			[direction ? `${direction} ` : '', what], duration(past.duration_seconds),
			count(past.tasks_total), count(past.tries_in_all ?? past.tries), count(past.signals_in_all ?? past.signals), remarks(past),
		].map((content, at) => {
			const column = COLUMNS[at];
			const cell = h('td', { role: 'cell', 'data-label': column }, ...[content].flat());
			if (NUMBERS.includes(column)) cell.className = 'number';
			if (column === 'Patch') cell.className = 'name';
			return cell;
		});
		return { node: h('tr', { role: 'row' }, ...cells) };
	};
}

function remarks({ outcome, refusal, check }) {
	const parts = [];
	if (outcome === 'forced') parts.push('the tasks left were switched without a check');
	if (refusal?.errno) parts.push(errno(refusal.errno));
	parts.push(...[refusal?.cause, refusal?.meaning].filter(Boolean));
	if (check) parts.push(`the check expected ${COURSES[check.outcome]}`);
	return parts.join('; ');
}

export function sight({ notes, probes, words }, snapshot) {
	const { source, events_lost: lost, probes: all } = snapshot;
	const missing = all.filter((probe) => !probe.attached);
	const said = snapshot.notes.slice();
	if (lost > 0) said.push(`${counted(lost, 'kernel event')} ${lost === 1 ? 'was' : 'were'} lost. lpwatch has read the state again instead.`);
	lines(notes, said, (note) => h('li', {}, h('strong', {}, 'Note: '), note));
	show(notes, said.length > 0);
	const from = `Tasks are read ${source === 'bpf' ? 'by BPF' : 'from /proc'}`;
	const hooks = all.length === 0 ? 'how facts are observed is unknown'
		: `${counted(all.length, 'fact')}, not observed: ${missing.map((probe) => probe.fact).join(', ') || 'none'}`;
	setText(words, `${from}; ${hooks}.`);
	const sorted = [...missing, ...all.filter((probe) => probe.attached)];
	list(probes, sorted, (probe) => `${probe.fact} ${probe.kind} ${probe.target}`, probeRow);
}

function probeRow() {
	const [fact, words, note] = [h('strong'), h('span'), h('span', { class: 'quiet' })];
	return {
		node: h('li', {}, fact, words, note),
		update: ({ fact: name, kind, target, attached, note: why }) => {
			setText(fact, name);
			setText(words, attached ? ` by ${kind} ${target}` : ' is not observed');
			attr(words, 'class', attached ? null : 'missing');
			setText(note, why ? ` (${why})` : '');
		},
	};
}
