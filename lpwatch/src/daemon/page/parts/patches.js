// The patches that are loaded: what each is, and what it changes.

import { attribute, h, list, setText, show } from './dom.js';
import { counted, ENGINES, way } from './words.js';

/** Functions of an object that stand on the page at once. */
const FUNCTIONS = 12;

/** `{ node, update(patch) }` */
export function patchRow({ name }) {
  const state = h('span', { class: 'badge' });
  const traits = h('p', { class: 'quiet' });
  const objects = h('ul', { class: 'objects' });
  const node = h('article', { class: 'patch' },
    h('div', {}, h('h3', { class: 'name' }, name), state, traits), objects);
  const update = (patch) => {
    const [words, tone] = stateOf(patch);
    setText(state, words);
    attribute(state, 'data-tone', tone);
    setText(traits, traitsOf(patch));
    list(objects, patch.objects, (object) => object.name, (object) => objectRow(object));
    for (const object of patch.objects) setObject(objects, object, patch);
  };
  return { node, update };
}

function stateOf({ enabled, transition }) {
  if (transition) return [`in transition (${way(transition)})`, transition.phase === 'stalled' ? 'alarm' : 'info'];
  return enabled ? ['enabled', 'well'] : ['disabled', null];
}

function traitsOf({ engine, replace, stack_order: order }) {
  const parts = [`engine ${ENGINES[engine] ?? engine}`];
  if (replace !== false) parts.push(replace ? 'atomic replace' : 'whether it replaces others is not known');
  if (order !== null) parts.push(`place ${order} in the order of loading`);
  return parts.join(' · ');
}

const rows = new WeakMap();

function objectRow({ name }) {
  const [state, shown, rest] = [h('span'), h('span', { class: 'names' }), h('span', { class: 'names' })];
  const summary = h('summary');
  const more = h('details', {}, summary, rest);
  const node = h('li', {}, h('strong', { class: 'name' }, name), ' ', state, shown, more);
  rows.set(node, { state, shown, rest, summary, more });
  return { node };
}

function setObject(objects, object, patch) {
  const at = patch.objects.indexOf(object);
  const { state, shown, rest, summary, more } = rows.get(objects.children[at]);
  const [words, tone] = placeOf(object, patch);
  setText(state, words);
  attribute(state, 'class', `place ${tone}`);
  const names = object.functions.map(({ name, sympos }) => (sympos > 1 ? `${name},${sympos}` : name));
  const number = (names.length === 0) ? 'functions not known' : counted(names.length, 'function');
  setText(shown, `${number}${names.length > 0 ? ': ' : ''}${names.slice(0, FUNCTIONS).join(', ')}`);
  show(more, names.length > FUNCTIONS);
  setText(summary, `and ${names.length - FUNCTIONS} more`);
  setText(rest, names.slice(FUNCTIONS).join(', '));
}

function placeOf({ name, patched }, { enabled, transition }) {
  if (patched === null) return ['whether it is patched is not known; ', 'quiet'];
  if (patched) return ['patched; ', 'quiet'];
  if (name !== 'vmlinux') return ['not loaded, patched once it is; ', 'warn'];
  return ['not patched; ', enabled && !transition ? 'alarm' : 'quiet'];
}
