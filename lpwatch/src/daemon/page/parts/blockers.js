// The tasks left, by reason, worst first; as `lpwatch tasks` shows them.

import { h, list, prose, setText, show } from './dom.js';
import { age, count, counted, printable } from './words.js';

/** Lines for a reason; there can be thousands of tasks. */
const SHOWN = 20;
const STACKS = 3;

const HEADINGS = {
	sleeping_kthread: 'Kernel threads asleep in a function of the patch',
	no_unwind_data: 'In code without unwind data',
	unreliable_stack: 'Stack unreliable: the kernel cannot prove what is on it',
	uninterruptible: 'Uninterruptible sleep (D state)',
	kvm_vcpu: 'Virtual CPUs inside their guests',
	running: 'Running each time the kernel checked',
	sleeping_on_function: 'Asleep in a function of the patch',
	waiting_for_signal: "Waiting for the kernel's signal",
	idle: 'Idle tasks',
	pending: 'No reason found so far',
	unknown: 'Not inspected',
};
const WORST_FIRST = Object.keys(HEADINGS);

/** `{ node, update(transition) }` */
export function blockers() {
	const title = h('h3', {}, 'Tasks left');
	const none = h('p', { class: 'empty' });
	const groups = h('div');
	const node = h('div', { class: 'left' }, title, none, groups);
	const update = ({ blockers: tasks, tasks_remaining: left }) => {
		const reasons = byReason(tasks);
		show(none, reasons.length === 0);
		setText(none, left === 0 ? 'No task is left.' : 'It is unknown which tasks these are.');
		list(groups, reasons, ([reason]) => reason, reasonGroup);
	};
	return { node, update };
}

function byReason(tasks) {
	const groups = new Map();
	for (const task of tasks) {
		const reason = task.reason === 'sleeping_on_function' && task.kthread ? 'sleeping_kthread' : task.reason ?? 'unknown';
		if (!groups.has(reason)) groups.set(reason, []);
		groups.get(reason).push(task);
	}
	return [...groups].sort(([one], [other]) => WORST_FIRST.indexOf(one) - WORST_FIRST.indexOf(other));
}

function reasonGroup([reason]) {
	const number = h('span', { class: 'quiet' });
	const advised = h('div');
	const more = h('p', { class: 'quiet' });
	const node = h('div', { class: 'reason' },
		h('h4', {}, HEADINGS[reason] ?? reason, ' ', number), advised, more);
	const update = ([, tasks]) => {
		setText(number, `(${count(tasks.length)})`);
		const groups = byAdvice(tasks);
		const shown = groups.flatMap(({ processes }) => processes.flat()).length;
		show(more, shown < tasks.length);
		setText(more, `and ${count(tasks.length - shown)} more: lpwatch tasks --all`);
		list(advised, groups, ({ advice }) => advice, adviceGroup);
	};
	return { node, update };
}

/** Tasks with the same advice, and threads of one process, together. */
function byAdvice(tasks) {
	const sorted = tasks.toSorted((one, other) => (other.since_seconds ?? -1) - (one.since_seconds ?? -1) || one.tid - other.tid);
	const all = new Map();
	let room = SHOWN;
	for (const task of sorted) {
		const key = task.kthread ? `kthread ${task.tid}` : JSON.stringify([task.tgid, task.function, task.cause, task.program]);
		const processes = all.get(task.advice) ?? new Map();
		const threads = processes.get(key);
		if (threads) {
			threads.push(task);
		} else if (room > 0) {
			room -= 1;
			all.set(task.advice, processes.set(key, [task]));
		}
	}
	return [...all].map(([advice, processes]) => ({ advice, processes: [...processes.values()] }));
}

function adviceGroup({ advice }) {
	const tasks = h('ul', { class: 'tasks' });
	const node = h('div', {}, tasks);
	if (advice) {
		const text = prose(advice, 'p');
		text.className = 'advice';
		node.append(text);
	}
	const update = ({ processes }) => {
		list(tasks, processes, ([first]) => `${first.tgid} ${first.kthread ? first.tid : ''} ${first.function}`, taskLine);
	};
	return { node, update };
}

function taskLine() {
	const [name, ids, detail] = [h('strong', { class: 'name' }), h('span', { class: 'quiet' }), h('span')];
	const stacks = h('div');
	const summary = h('summary');
	const details = h('details', {}, summary, stacks);
	const node = h('li', {}, name, ' ', ids, detail, ' ', details);
	const update = (threads) => {
		const [first] = threads;
		const leader = threads.find((task) => task.tid === task.tgid) ?? first;
		setText(name, leader.comm);
		setText(ids, whose(first, threads.length));
		setText(detail, `: ${detailOf(threads)}`);
		const withStack = threads.filter((task) => task.stack.length > 0).slice(0, STACKS);
		show(details, withStack.length > 0);
		setText(summary, threads.length > 1 ? `Stacks of ${withStack.length} of ${threads.length} threads` : 'Stack');
		list(stacks, withStack, (task) => task.tid, stackOf);
	};
	return { node, update };
}

function whose({ tid, tgid, kthread, ns_tid: nsTid, ns_tgid: nsTgid }, number) {
	if (tid === 0) return '(idle task)';
	if (kthread) return `(kernel thread ${tid})`;
	const inside = (id, of) => (id === null ? '' : `, ${id}${of} in its container`);
	if (number > 1) return `(pid ${tgid}${inside(nsTgid, '')})`;
	if (tid === tgid) return `(pid ${tid}${inside(nsTid, '')})`;
	return `(tid ${tid} of ${tgid}${inside(nsTid, nsTgid === null ? '' : ` of ${nsTgid}`)})`;
}

function detailOf(threads) {
	const [first] = threads;
	const parts = threads.length > 1 ? [counted(threads.length, 'thread')] : [];
	parts.push(why(first));
	const since = Math.max(...threads.map((task) => task.since_seconds ?? -1));
	parts.push(since < 0 ? 'for how long is unknown' : `for ${age(since)}`);
	const tries = Math.max(0, ...threads.map((task) => task.kernel_check?.tries ?? 0));
	if (tries > 0) parts.push(`${count(tries)} ${tries === 1 ? 'try' : 'tries'}`);
	return parts.join(', ');
}

function why({ reason, cause, function: fn, program }) {
	const within = fn === null ? '' : ` in ${fn}`;
	switch (reason) {
		case 'sleeping_on_function': return fn === null ? 'asleep in a patched function' : `asleep${within}`;
		case 'running': return `running${within}`;
		case 'unreliable_stack': return foreign(cause, fn, program);
		case 'no_unwind_data': return `in ${fn}`;
		case 'uninterruptible': return `uninterruptible${within}`;
		case 'kvm_vcpu': return 'in its guest';
		case 'waiting_for_signal': return 'no other reason';
		case 'idle': return 'its CPU has not woken';
		case 'pending': return 'tried again each second';
		default: return `why is unknown${within}`;
	}
}

/** `fexit program x (id 4) on f, held by y (pid 3)` */
function foreign(cause, fn, program) {
	const what = { bpf_trampoline: 'BPF program', kretprobe: 'kretprobe' }[cause];
	if (!what) return 'what is on its stack is unknown';
	const kind = program?.kind && cause === 'bpf_trampoline' ? `${program.kind} program` : what;
	const on = program ? program.attached_to : fn;
	const owner = program?.owner_comm ?? (program?.owner_pid ? 'pid' : null);
	return [
		kind,
		program?.name ? ` ${program.name}` : '',
		program?.id ? ` (id ${program.id})` : '',
		on ? ` on ${on}` : '',
		owner ? `, held by ${program.owner_comm ?? 'a process'}${program.owner_pid ? ` (pid ${program.owner_pid})` : ''}` : '',
		program?.pinned ? `, pinned at ${program.pinned}` : '',
	].join('');
}

/** Marked in words, for screen readers too. */
function stackOf({ tid }) {
	const frames = h('pre', { class: 'stack' });
	const update = ({ stack, blocking_frame: blocking }) => {
		const told = stack.map((frame, at) => printable(frame) + (at === blocking ? '  ← blocks' : ''));
		frames.textContent = told.join('\n');
	};
	return { node: h('div', {}, h('p', { class: 'quiet' }, `Thread ${tid}, innermost frame first`), frames), update };
}
