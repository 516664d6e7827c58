// The connection to the daemon: one answer, then a stream of server-sent events.
//
// It is read with fetch: EventSource hides the keep-alives of a host at rest.

import { age } from './words.js';

const FIRST_WORD = 10_000; // for an answer to begin
const QUIET = 20_000; // the daemon sends a keep-alive every 15 s
const SILENT = 45_000; // then the connection is given up
const LONGEST_PAUSE = 15_000;

export class Link {
	/** `connecting`, `live` or `gone`. */
	state = 'connecting';
	heardAt = null;
	retryAt = null;
	trouble = null;

	#pause = 1000;
	#askedAt = 0;
	#abort = null;
	#wake = () => {};
	#onChange;

	constructor(onNews, onChange) {
		this.onNews = onNews;
		this.#onChange = onChange;
	}

	/** Seconds since the daemon was last heard; `null` if it never was. */
	get silence() {
		return this.heardAt === null ? null : Math.max(0, (Date.now() - this.heardAt) / 1000);
	}

	/** Whether a keep-alive is overdue. */
	get isQuiet() {
		return this.silence * 1000 > QUIET;
	}

	/** Its state for CSS, and in words. */
	get words() {
		const { silence, state } = this;
		const heard = silence === null ? 'never heard' : `last heard ${age(silence)} ago`;
		if (state === 'live') return this.isQuiet ? ['quiet', `Silent, ${heard}`] : [state, silence < 3 ? 'Live' : `Live, ${heard}`];
		if (state === 'connecting') return [state, silence === null ? 'Connecting' : `Connecting, ${heard}`];
		const again = Math.max(0, Math.ceil((this.retryAt - Date.now()) / 1000));
		return [state, `No answer (${this.trouble}), ${heard}; next try in ${age(again)}`];
	}

	/** Call once a second: closes a silent connection. */
	tick() {
		const since = Date.now() - Math.max(this.#askedAt, this.heardAt);
		if (this.state === 'live' ? since > SILENT : this.state === 'connecting' && since > FIRST_WORD) {
			this.#abort?.abort(new Error('it has gone silent'));
		}
	}

	retry() {
		this.#wake();
	}

	async run() {
		await this.#try(() => this.ask());
		for (;;) {
			await this.#try(() => this.#follow());
			await this.#rest();
		}
	}

	async #try(step) {
		this.#abort = new AbortController();
		this.#askedAt = Date.now();
		try {
			await step();
		} catch (error) {
			this.trouble = error instanceof TypeError ? 'it cannot be reached' : error.message;
		}
	}

	async ask() {
		const response = await this.#fetch('api/v1/status', { accept: 'application/json' });
		this.onNews(await response.json());
	}

	/** Address and headers. */
	stream() {
		return ['api/v1/stream', { accept: 'text/event-stream' }];
	}

	take(events) {
		// Of several at once the last one counts.
		const last = events.map(dataOf).findLast(Boolean);
		if (last) this.onNews(JSON.parse(last));
	}

	async #follow() {
		const response = await this.#fetch(...this.stream());
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		this.#pause = 1000;
		this.#become('live');
		let rest = '';
		for (;;) {
			const { value, done } = await reader.read();
			if (done) throw new Error('it closed the connection');
			this.heardAt = Date.now();
			const events = (rest + value).split(/\r?\n\r?\n/);
			rest = events.pop();
			this.take(events);
		}
	}

	async #fetch(path, headers) {
		const response = await fetch(path, { headers, cache: 'no-store', signal: this.#abort.signal });
		if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`);
		this.heardAt = Date.now();
		return response;
	}

	async #rest() {
		this.#abort.abort();
		// Not all pages at once when a daemon comes back.
		const pause = this.#pause * (0.8 + 0.4 * Math.random());
		this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
		this.retryAt = Date.now() + pause;
		this.#become('gone');
		await new Promise((wake) => {
			this.#wake = wake;
			setTimeout(wake, pause);
		});
		this.#become('connecting');
	}

	#become(state) {
		this.state = state;
		this.#onChange();
	}
}

export function dataOf(event) {
	const data = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
	return data.map((line) => line.slice(5).trimStart()).join('\n');
}
