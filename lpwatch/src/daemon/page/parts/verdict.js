// The state of this host in a word and sentences, worst first.

import { age, clock, left, OUTCOMES, way } from './words.js';

/** A patch with these that is not enabled has failed. */
const FAILURES = ['refused', 'cancelled'];
const LINES = 6;

const ALARM = 'M12 2 23 21H1zM11 8v6h2V8zm0 8v2h2v-2z';
const LEVELS = {
	stalled: { words: 'Stalled', mark: ALARM },
	danger: { words: 'Danger', mark: ALARM },
	failed: { words: 'Failed', mark: 'M7 2h10l5 5v10l-5 5H7l-5-5V7zM8 6.6 6.6 8l4 4-4 4L8 17.4l4-4 4 4 1.4-1.4-4-4 4-4L16 6.6l-4 4z' },
	moving: { words: 'In transition', mark: 'M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22m0 3v16a8 8 0 0 1 0-16' },
	well: { words: 'All well', mark: 'M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22m-1.5 15.9L6 12.4 7.4 11l3.1 3.1L16.6 8 18 9.4z' },
	none: { words: 'Not patched', mark: 'M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22m0 3a8 8 0 1 1 0 16 8 8 0 0 1 0-16' },
	unknown: { words: 'Unknown', mark: 'M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22M7 11h10v2H7z' },
};
const ORDER = Object.keys(LEVELS);

/** `{ level, words, lines, mark }`: `words` are read out, so they contain no times. */
export function judge(snapshot) {
	const concerns = [
		...snapshot.patches.filter((patch) => patch.transition).map(ofTransition),
		...dangers(snapshot),
		...failures(snapshot),
	].sort((one, other) => ORDER.indexOf(one.level) - ORDER.indexOf(other.level));
	if (concerns.length === 0) return calm(snapshot);
	const [{ level }] = concerns;
	const names = new Set(concerns.filter((one) => one.level === level).map((one) => one.name));
	const [first, ...rest] = names;
	const more = rest.length > 0 ? ` and ${rest.length} more` : '';
	const lines = concerns.slice(0, LINES).map((concern) => concern.line);
	if (concerns.length > LINES) lines.push(`And ${concerns.length - LINES} more, below.`);
	return verdict(level, `${LEVELS[level].words}: ${first}${more}`, lines);
}

export function doubt(last, why) {
	const lines = last ? [`It last said: ${last.words}. Its last answer follows.`] : [];
	return verdict('unknown', why, lines);
}

function verdict(level, words, lines) {
	return { level, words, lines, mark: LEVELS[level].mark };
}

function ofTransition({ name, transition }) {
	const { age_seconds: since, seconds_without_progress: idle, phase, forced } = transition;
	const parts = [`${name} is ${way(transition)}${forced ? ', forced' : ''}`];
	parts.push(since === null ? ', for how long is unknown' : ` for ${age(since)}`);
	if (transition.tasks_remaining === null) parts.push('; how many tasks are left is unknown.');
	else parts.push(`: ${left(transition)} left.`);
	if (phase !== 'progressing' && idle !== null) parts.push(` No task has switched for ${age(idle)}.`);
	if (phase === null) parts.push(' Its progress is unknown.');
	else if (phase === 'long' || phase === 'slow') parts.push(` It is ${phase}.`);
	return { level: phase === 'stalled' ? 'stalled' : 'moving', name, line: parts.join('') };
}

function dangers({ patches, watched }) {
	const found = [];
	const danger = (name, line) => found.push({ level: 'danger', name, line });
	for (const { name, enabled, transition, objects } of patches) {
		const vmlinux = objects.find((object) => object.name === 'vmlinux');
		if (enabled && !transition && vmlinux?.patched === false) {
			danger(name, `${name} is on, and vmlinux is not patched.`);
		}
	}
	const functions = patches.flatMap((patch) => patch.objects.flatMap((object) => object.functions));
	for (const { name, calls } of [...functions, ...(watched ?? [])]) {
		const worst = calls?.findings.find((finding) => finding.severity === 'danger');
		if (worst) danger(name, worst.text);
		else if (calls?.effective === false) danger(name, `The new code of ${name} does not run.`);
	}
	return found;
}

/** Patches that failed and are not enabled. */
function failures({ last_transitions: past, patches, taken_at: now }) {
	const seen = new Set();
	const found = [];
	for (const { patch, outcome, ended_at: ended, refusal } of past) {
		if (patch === null || seen.has(patch)) continue;
		seen.add(patch);
		const loaded = patches.find(({ name }) => name === patch);
		if (loaded?.enabled || loaded?.transition || !FAILURES.includes(outcome)) continue;
		const why = refusal?.cause ? `: ${refusal.cause}` : '.';
		const line = `${patch} was ${OUTCOMES[outcome]} at ${clock(ended, now)} UTC, and is not on${why}`;
		found.push({ level: 'failed', name: patch, line });
	}
	return found;
}

function calm({ patches }) {
	const on = patches.filter((patch) => patch.enabled);
	if (on.length === 0) {
		return verdict('none', LEVELS.none.words, [patches.length > 0 ? 'No live patch here is known to be on.' : 'No live patch is loaded.']);
	}
	const names = on.slice(0, 3).map((patch) => patch.name).join(', ');
	const more = on.length > 3 ? ` and ${on.length - 3} more` : '';
	const are = on.length === 1 ? 'One live patch is' : `${on.length} live patches are`;
	return verdict('well', LEVELS.well.words, [`${are} on: ${names}${more}. No transition is under way.`]);
}
