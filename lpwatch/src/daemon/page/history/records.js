// A transition that has ended, as the history keeps it.

import { h } from '../parts/dom.js';
import { clock, count, counted, COURSES, duration, errno, OUTCOMES, printable, UNKNOWN } from '../parts/words.js';
import { course } from './course.js';

const TONES = { completed: 'well', forced: 'warn', reversed: 'warn', unknown: 'warn', cancelled: 'alarm', refused: 'alarm' };
const SHOWN = 20;

/** As in the headings of the tasks left. */
const REASONS = {
	sleeping_on_function: 'asleep in a function of the patch', running: 'running each time the kernel checked',
	unreliable_stack: 'stack unreliable', no_unwind_data: 'in code without unwind data',
	uninterruptible: 'in uninterruptible sleep', kvm_vcpu: 'a virtual CPU inside its guest',
	waiting_for_signal: "waiting for the kernel's signal", idle: 'idle', pending: 'no reason found',
};

/** Which one it is: another history may use the same numbers. */
export function keyOf({ id, boot_id: boot, transition }) {
	return `${id} ${boot} ${transition.ended_at}`;
}

/** `{ node }`: a record never changes. */
export function card(record) {
	const { id, transition: past } = record;
	const { patch, direction, outcome } = past;
	const title = h('h3', { class: 'name' }, patch ?? 'unknown patch');
	const what = h('span', { class: 'badge', 'data-tone': TONES[outcome] }, `${direction ? `${direction} ` : ''}${OUTCOMES[outcome] ?? outcome}`);
	const told = h('div', {}, h('div', { class: 'head' }, title, what, h('span', { class: 'quiet' }, `number ${id}`)),
		figures(past), ...remarks(record), ...tasks(record), links(record));
	const name = `${patch ?? 'unknown patch'}, number ${id}`;
	return { node: h('div', { class: 'past', role: 'group', 'aria-label': name }, told, course(record.course)) };
}

function figures(past) {
	const { ended_at: ended, duration_seconds: took, tasks_total: total } = past;
	const all = [
		['Ended', clock(ended)], ['Took', duration(took)], ['Tasks', count(total)],
		['Tries', count(past.tries_in_all ?? past.tries)], ['Signals', count(past.signals_in_all ?? past.signals)],
	];
	return h('dl', { class: 'figures' }, ...all.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));
}

function remarks({ transition, forecast_came_true: true_, reconstructed }) {
	const { outcome, refusal, check, reversed_by: reverser, forced_by: forcer } = transition;
	const said = [];
	if (reverser) said.push(`Reversed by ${operator(reverser)}.`);
	if (forcer) said.push(`Forced by ${operator(forcer)}.`);
	if (outcome === 'forced') said.push('The tasks left were switched without a check.');
	const why = [refusal?.errno && errno(refusal.errno), refusal?.cause, refusal?.meaning].filter(Boolean);
	if (why.length > 0) said.push(`Why: ${why.join('; ')}`);
	if (check) {
		const came = { true: '; that came true', false: '; that did not come true' }[true_] ?? '';
		said.push(`The check expected ${COURSES[check.outcome] ?? check.outcome}${came}.`);
	}
	if (reconstructed) said.push('No daemon followed it: the kernel log reports it.');
	return said.map((text) => h('p', {}, text));
}

function operator({ tid, comm, uid, login_uid: login }) {
	return `${comm}, thread ${tid}, uid ${uid}${login === null ? '' : `, login uid ${login}`}`;
}

function tasks({ id, blockers }) {
	if (blockers.length === 0) return [];
	const rows = blockers.slice(0, SHOWN).map(task);
	if (blockers.length > SHOWN) rows.push(h('li', { class: 'quiet' }, `and ${count(blockers.length - SHOWN)} more: lpwatch history ${id}`));
	return [h('details', {}, h('summary', {}, `${counted(blockers.length, 'task')} that ${blockers.length === 1 ? 'was' : 'were'} left`), h('ul', {}, ...rows))];
}

function task(held) {
	const { tid, comm, kthread, reason, function: fn, program, stack } = held;
	const whose = tid === 0 ? ' (idle tasks)' : ` (${kthread ? 'kernel thread' : 'tid'} ${tid})`;
	const parts = [(REASONS[reason] ?? 'not inspected') + (fn === null ? '' : `: ${fn}`)];
	if (program?.name) parts.push(`${program.kind ?? 'program'} ${program.name}${program.owner_comm ? ` of ${program.owner_comm}` : ''}`);
	const seconds = held.last_seconds - held.first_seconds;
	parts.push(seconds > 0 ? `seen left for ${duration(seconds)}` : 'seen left once');
	const node = h('li', {}, h('strong', { class: 'name' }, comm ?? UNKNOWN), h('span', { class: 'quiet' }, whose), `: ${parts.join(', ')}`);
	if (stack.length > 0) {
		const frames = h('pre', { class: 'stack' });
		frames.textContent = stack.map(printable).join('\n');
		node.append(h('details', {}, h('summary', {}, 'Stack'), frames));
	}
	return node;
}

function links({ id, transition: { patch } }) {
	const link = (text, query) => h('a', { href: `api/v1/history/${encodeURIComponent(id)}/report${query}`, 'aria-label': `${text}: ${patch ?? 'unknown patch'}, number ${id}` }, text);
	return h('p', { class: 'links' }, link('Report', ''), link('Report without names', '?redact=1'));
}
