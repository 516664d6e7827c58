// Advice with its commands: each stands on a line of its own, with a button that
// copies it.

import { attr, h, setText } from './dom.js';
import { printable } from './words.js';

/** The programs whose commands are recognised without a newline before them; as in render/command.rs. */
const PROGRAMS = ['bpftool', 'cat', 'dmesg', 'echo', 'grep', 'insmod', 'keyctl', 'kill', 'lpwatch', 'modinfo', 'modprobe', 'mount', 'rm',
	'rmmod', 'sysctl', 'systemctl', 'taskset'];
/** For how long a button says that it has copied, in milliseconds. */
const COPIED = 2000;

/** A text with its commands; `quoted` words are set as code. */
export function prose(text, tag = 'span') {
	const node = h(tag);
	const [sentence, commands] = split(text);
	sentence.split('`').forEach((part, nth) => {
		if (part) node.append(nth % 2 ? h('code', {}, part) : document.createTextNode(printable(part)));
	});
	node.append(...commands.map(commandLine));
	return node;
}

/** `[sentence, commands]`; as `split` in render/command.rs. */
function split(text) {
	const [sentence, ...commands] = text.split('\n').filter((line, nth) => line || nth === 0);
	if (commands.length > 0) return [sentence, commands];
	if (isCommand(text)) return ['', [text]];
	const at = text.lastIndexOf(': ');
	return at >= 0 && isCommand(text.slice(at + 2)) ? [text.slice(0, at + 1), [text.slice(at + 2)]] : [text, []];
}

function isCommand(text) {
	return PROGRAMS.includes(text.split(' ')[0]) && !text.includes('(pid ') && !text.endsWith('.');
}

function commandLine(command) {
	const code = h('code', {}, command);
	const button = h('button', { type: 'button', class: 'copy', 'aria-live': 'polite' });
	const say = (word, label) => {
		setText(button, word);
		attr(button, 'aria-label', label);
	};
	const ready = () => say('Copy', `Copy ${command}`);
	ready();
	button.addEventListener('click', async () => {
		if (!await copy(code)) return;
		say('Copied', null);
		setTimeout(ready, COPIED);
	});
	return h('span', { class: 'command' }, code, ' ', button);
}

/** Over plain HTTP from another host a browser offers no clipboard: then the selection is copied. */
async function copy(code) {
	try {
		await navigator.clipboard.writeText(code.textContent);
		return true;
	} catch {
		getSelection().selectAllChildren(code);
		return document.execCommand('copy');
	}
}
