// Values as text, as in `lpwatch status`. Unknown never becomes 0.

export const UNKNOWN = 'unknown';
const GLUE = '\u00a0';

// Characters that disguise a text: control, invisible and bidi characters.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}]/gu;
const NAMED = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` with these escaped. */
export function printable(text) {
	return String(text ?? UNKNOWN).replace(UNSAFE, (character) => {
		const code = character.codePointAt(0).toString(16);
		return NAMED[character] ?? (code.length < 3 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`);
	});
}

function isNumber(value) {
	return typeof value === 'number' && Number.isFinite(value);
}

/** `4 s`, `2 min 10 s`, `3 h 05 min`, `2 d 3 h`. */
export function age(seconds) {
	if (!isNumber(seconds) || seconds < 0) return UNKNOWN;
	const whole = Math.floor(seconds);
	const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(whole / unit));
	const two = (number) => String(number).padStart(2, '0');
	if (days > 0) return noBreak(`${days} d ${hours % 24} h`);
	if (hours > 0) return noBreak(`${hours} h ${two(minutes % 60)} min`);
	if (minutes > 0) return noBreak(`${minutes} min ${two(whole % 60)} s`);
	return noBreak(`${whole} s`);
}

/** The same, but exact below ten seconds. */
export function duration(seconds) {
	if (!isNumber(seconds) || seconds < 0 || seconds >= 10) return age(seconds);
	const millis = Math.floor(seconds * 1000);
	return seconds < 1 ? noBreak(`${millis} ms`) : noBreak(`${Math.floor(millis / 100) / 10} s`);
}

export function noBreak(text) {
	return text.replaceAll(' ', GLUE);
}

export function count(number) {
	return isNumber(number) ? String(number).replace(/\B(?=(\d{3})+$)/g, ',') : UNKNOWN;
}

/** `1 task`, `2 tasks`. */
export function counted(number, one) {
	return `${count(number)}${GLUE}${one}${number === 1 ? '' : 's'}`;
}

export function rate(perSecond) {
	if (!isNumber(perSecond)) return UNKNOWN;
	if (perSecond >= 100) return count(Math.round(perSecond));
	if (perSecond >= 10) return perSecond.toFixed(1);
	return perSecond > 0 ? Math.max(perSecond, 0.01).toFixed(2) : '0';
}

/** The time, with its date unless it is that of `now`. */
export function clock(time, now) {
	const [day, rest] = time.split('T');
	return day === now?.split('T')[0] ? rest.slice(0, 8) : noBreak(`${day} ${rest.slice(0, 8)}`);
}

/** `1 of 98 tasks`. */
export function left(transition) {
	const { tasks_remaining: remaining, tasks_total: total } = transition;
	if (!isNumber(remaining)) return UNKNOWN;
	return isNumber(total) ? `${count(remaining)} of ${counted(total, 'task')}` : counted(remaining, 'task');
}

/** `patching`; `patching reversed, now unpatching`. */
export function way({ direction, reversed }) {
	if (!reversed) return direction;
	return direction === 'patching' ? 'unpatching reversed, now patching' : 'patching reversed, now unpatching';
}

export const OUTCOMES = {
	completed: 'completed', reversed: 'reversed', forced: 'forced',
	cancelled: 'cancelled by the kernel', refused: 'refused by the kernel', unknown: 'ended with an unknown outcome',
};

export const COURSES = {
	refused: 'a refusal', completes: 'completion within seconds',
	after_signal: "completion after the kernel's signal", open: 'a slow transition',
	stalls: 'a stall', loaded: 'nothing: it was already loaded',
	not_known: 'nothing: the tasks were not inspected',
};

const ERRORS = {
	1: 'EPERM', 2: 'ENOENT', 8: 'ENOEXEC', 12: 'ENOMEM', 16: 'EBUSY', 17: 'EEXIST', 22: 'EINVAL',
	126: 'ENOKEY', 129: 'EKEYREJECTED',
};

/** `EINVAL (22)`, or `error 4000` without a name. */
export function errno(number) {
	return noBreak(ERRORS[number] ? `${ERRORS[number]} (${number})` : `error ${number}`);
}
