// Calls of old and new code: for each function a chart, totals and findings.

import { attr, h, lines, list, prose, s, setText, show } from './dom.js';
import { clock, count, rate, UNKNOWN } from './words.js';

/** Functions that get a chart. */
const SHOWN = 60;
/** Names of functions that are not counted, for each reason. */
const NAMES = 20;
const SEVERITIES = { danger: ['DANGER', 'alarm'], warning: ['Warning', 'warn'], note: ['Note', 'quiet'] };
const RANK = Object.keys(SEVERITIES);

/** All functions of a snapshot, the worst first. */
export function functionsOf({ patches, watched }) {
	const all = [];
	for (const patch of patches) {
		for (const object of patch.objects) {
			for (const fn of object.functions) all.push({ ...fn, patch, object: object.name, effect: effectOf(patch, object, fn) });
		}
	}
	for (const fn of watched ?? []) all.push({ ...fn, patch: null, effect: ['watched, not patched', null] });
	const rank = (fn) => {
		const worst = fn.calls?.findings.map((finding) => RANK.indexOf(finding.severity)) ?? [];
		return fn.effect[1] === 'alarm' ? -1 : Math.min(3, ...worst);
	};
	return all.map((fn) => [rank(fn), fn]).sort(([one], [other]) => one - other).map(([, fn]) => fn);
}

/** A tile for each counted function; the names of the others by reason. */
export function update({ tiles, more, none }, functions) {
	const counted = functions.filter((fn) => fn.calls);
	list(tiles, counted.slice(0, SHOWN), (fn) => `${fn.patch?.name ?? ''} ${fn.object} ${fn.name} ${fn.sympos}`, tile);
	show(more, counted.length > SHOWN);
	setText(more, `and ${count(counted.length - SHOWN)} functions more: lpwatch calls`);
	const reasons = new Map();
	for (const { calls, not_counted: why, name } of functions) {
		if (!calls) reasons.set(why, [...(reasons.get(why) ?? []), name]);
	}
	lines(none, [...reasons].map(([why, names]) => {
		const rest = names.length > NAMES ? ` and ${count(names.length - NAMES)} more` : '';
		return `Not counted${why ? `, ${why}` : ''}: ${names.slice(0, NAMES).join(', ')}${rest}.`;
	}));
}

/** Whether the new code runs, and its tone. */
function effectOf({ enabled, transition }, object, { calls }) {
	if (enabled === false && !transition) return ['not on', null];
	if (object.patched === false) {
		return object.name === 'vmlinux' ? ['new code DOES NOT RUN', 'alarm'] : ['unknown: its module is not loaded', null];
	}
	if (!calls) return ['unknown', null];
	if (calls.effective === true) return ['new code runs', 'well'];
	const isOff = calls.findings.some((finding) => finding.kind === 'ftrace_disabled');
	if (calls.effective === false || isOff) return ['new code DOES NOT RUN', 'alarm'];
	const { entered, not_entered: why } = calls;
	const words = 'unknown whether new code runs';
	return [entered && !why ? words : `${words}: its entries are not counted${why ? `: ${why}` : ''}`, null];
}

function tile({ name, object, sympos, patch }) {
	const effect = h('p', { class: 'effect' });
	const chart = s('svg', { class: 'bars', role: 'img', viewBox: '0 0 300 76' });
	const totals = h('p', { class: 'totals' });
	const findings = h('ul', { class: 'findings' });
	const of = (patch?.name ?? 'no patch') + (object === 'vmlinux' ? '' : ` · ${object}`);
	const node = h('article', { class: 'tile' },
		h('h3', { class: 'name' }, sympos > 1 ? `${name},${sympos}` : name),
		h('p', { class: 'quiet name' }, of), effect, chart, totals, findings);
	const update = ({ calls, effect: [words, tone] }) => {
		setText(effect, words);
		attr(effect, 'data-tone', tone);
		const most = tone === 'alarm' ? shareEntered(calls) : 1;
		draw(chart, name, [
			['before', calls.before], ['during', calls.during], ['since', calls.after], ['now', calls],
		].map(([label, phase]) => ({ label, ...ratesOf(phase, most) })));
		setText(totals, totalsOf(calls, most));
		const worstFirst = calls.findings.toSorted((one, other) => RANK.indexOf(one.severity) - RANK.indexOf(other.severity));
		list(findings, worstFirst, ({ kind, text }) => `${kind} ${text}`, finding);
	};
	return { node, update };
}

/** The share of new code in the calls that should run it; 0 if entries do not show it. */
function shareEntered({ entered }) {
	return entered?.entries < entered?.expected ? entered.entries / entered.expected : 0;
}

/** Calls that did not enter the new code are old. */
function ratesOf(phase, most) {
	const { old_per_second: old = null, new_per_second: fresh = null } = phase ?? {};
	const entered = Math.min(fresh, (old + fresh) * most);
	return entered < fresh ? { old: old + fresh - entered, new: entered } : { old, new: fresh };
}

function totalsOf({ old, new: fresh, counted_since: since, above, uncertain, entered, new_share: part }, most) {
	const words = [`${count(old)} old, ${count(fresh)} new since ${clock(since).slice(-8)} UTC`];
	if (part !== null) words.push(`${Math.floor(Math.min(part, most) * 100 + 1e-6)} % new now`);
	if (entered?.expected > 0) words.push(`new code entered ${count(entered.entries)} of ${count(entered.expected)} times`);
	if (above > 0) words.push(`${count(above)} ran a patch above`);
	if (uncertain > 0) words.push(`${count(uncertain)} unknown which`);
	return words.join(' · ');
}

/** Both codes on one bar, with their numbers. */
function draw(svg, name, phases) {
	const [left, right] = [52, 208];
	const most = Math.max(...phases.map((phase) => phase.old + phase.new), Number.MIN_VALUE);
	const nodes = phases.flatMap(({ label, old, new: fresh }, nth) => {
		const y = nth * 19 + 2;
		const [oldWide, newWide] = [old, fresh].map((value) => (value / most) * (right - left));
		const bar = (kind, x, width) => s('rect', { class: kind, x, y, width, height: 14 });
		const sum = old === null && fresh === null ? UNKNOWN : old > 0 && fresh > 0 ? `${rate(old)} + ${rate(fresh)}` : rate(old + fresh);
		return [
			s('text', { x: 0, y: y + 11 }, label),
			bar('track', left, right - left), bar('old', left, oldWide), bar('hatch', left, oldWide), bar('new', left + oldWide, newWide),
			s('text', { class: sum === UNKNOWN ? 'unknown' : 'value', x: 300, y: y + 11, 'text-anchor': 'end' }, sum),
		];
	});
	const said = ({ label, old, new: fresh }) => `${label} ${rate(old)} old, ${rate(fresh)} new`;
	attr(svg, 'aria-label', `Calls of ${name} a second: ${phases.map(said).join('; ')}.`);
	svg.replaceChildren(...nodes);
}

function finding({ severity, text, advice }) {
	const [word, tone] = SEVERITIES[severity] ?? [severity, 'quiet'];
	const node = h('li', { 'data-tone': tone }, h('strong', {}, `${word}: `), prose(text));
	if (advice.length > 0) node.append(h('ul', {}, ...advice.map((step) => prose(step, 'li'))));
	return { node };
}

