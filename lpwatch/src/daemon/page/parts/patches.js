// The loaded patches, and what each changes.

import { attr, h, list, setText, show } from './dom.js';
import { counted, way } from './words.js';

/** Functions of an object that are shown at once. */
const FUNCTIONS = 12;

/** `{ node, update(patch) }` */
export function patchRow({ name }) {
	const state = h('span', { class: 'badge' });
	const traits = h('p', { class: 'quiet' });
	const objects = h('ul');
	const node = h('article', { class: 'patch' },
		h('div', {}, h('h3', { class: 'name' }, name), state, traits), objects);
	const update = (patch) => {
		const [words, tone] = stateOf(patch);
		setText(state, words);
		attr(state, 'data-tone', tone);
		setText(traits, traitsOf(patch));
		const isOn = patch.enabled && !patch.transition;
		list(objects, patch.objects.map((object) => ({ ...object, isOn })), (object) => object.name, objectRow);
	};
	return { node, update };
}

function stateOf({ enabled, transition }) {
	if (transition) return [`in transition (${way(transition)})`, transition.phase === 'stalled' ? 'alarm' : 'info'];
	return enabled ? ['enabled', 'well'] : [enabled === null ? 'unknown' : 'disabled', null];
}

function traitsOf({ engine, replace, stack_order: order }) {
	const parts = [`engine ${engine}`];
	if (replace !== false) parts.push(replace ? 'atomic replace' : 'whether it replaces others is unknown');
	if (order !== null) parts.push(`place ${order} in the order of loading`);
	return parts.join(' · ');
}

function objectRow({ name }) {
	const [place, shown, rest] = [h('span'), h('span', { class: 'names' }), h('span', { class: 'names' })];
	const summary = h('summary');
	const more = h('details', {}, summary, rest);
	const update = (object) => {
		const [words, tone] = placeOf(object);
		setText(place, words);
		attr(place, 'class', `place ${tone}`);
		const names = object.functions.map((fn) => (fn.sympos > 1 ? `${fn.name},${fn.sympos}` : fn.name));
		setText(shown, names.length === 0 ? 'functions unknown'
			: `${counted(names.length, 'function')}: ${names.slice(0, FUNCTIONS).join(', ')}`);
		show(more, names.length > FUNCTIONS);
		setText(summary, `and ${names.length - FUNCTIONS} more`);
		setText(rest, names.slice(FUNCTIONS).join(', '));
	};
	return { node: h('li', {}, h('strong', { class: 'name' }, name ?? 'unknown object'), ' ', place, shown, more), update };
}

function placeOf({ name, patched, isOn }) {
	if (patched === null) return ['whether it is patched is unknown; ', 'quiet'];
	if (patched) return ['patched; ', 'quiet'];
	if (name !== 'vmlinux') return ['not loaded, patched once it is; ', 'warn'];
	return ['not patched; ', isOn ? 'alarm' : 'quiet'];
}
