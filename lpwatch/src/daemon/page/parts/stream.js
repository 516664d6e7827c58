// The connection to the daemon: one answer, then a stream of server-sent events.
//
// It is read with fetch: EventSource hides the keep-alives of a host at rest.

const FIRST_WORD = 10_000; // for an answer to begin
const QUIET = 20_000; // the daemon sends a keep-alive every 15 s
const SILENT = 45_000; // then the connection is given up
const LONGEST_PAUSE = 15_000;

export class Link {
	/** `connecting`, `live` or `gone`; see also `isQuiet`. */
	state = 'connecting';
	heardAt = null;
	retryAt = null;
	trouble = null;

	#pause = 1000;
	#askedAt = 0;
	#abort = null;
	#wake = () => {};
	#onSnapshot;
	#onChange;

	constructor(onSnapshot, onChange) {
		this.#onSnapshot = onSnapshot;
		this.#onChange = onChange;
	}

	/** Seconds since the daemon was last heard; `null` if it never was. */
	get silence() {
		return this.heardAt === null ? null : Math.max(0, (Date.now() - this.heardAt) / 1000);
	}

	/** Whether a keep-alive is overdue. */
	get isQuiet() {
		return this.heardAt !== null && Date.now() - this.heardAt > QUIET;
	}

	/** Call once a second: closes a silent connection. */
	tick() {
		const since = Date.now() - Math.max(this.#askedAt, this.heardAt ?? 0);
		if (this.state === 'live' ? since > SILENT : this.state === 'connecting' && since > FIRST_WORD) {
			this.#abort?.abort(new Error('it has gone silent'));
		}
	}

	retry() {
		this.#wake();
	}

	async run() {
		await this.#try(() => this.#ask());
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

	async #ask() {
		const response = await this.#fetch('api/v1/status', 'application/json');
		const snapshot = await response.json();
		this.#heard();
		this.#onSnapshot(snapshot);
	}

	async #follow() {
		const response = await this.#fetch('api/v1/stream', 'text/event-stream');
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		this.#heard();
		this.#pause = 1000;
		this.#become('live');
		let rest = '';
		for (;;) {
			const { value, done } = await reader.read();
			if (done) throw new Error('it closed the connection');
			this.#heard();
			const events = (rest + value).split(/\r?\n\r?\n/);
			rest = events.pop();
			// Of several at once the last one counts.
			const last = events.map(dataOf).findLast((data) => data !== '');
			if (last) this.#onSnapshot(JSON.parse(last));
		}
	}

	async #fetch(path, accept) {
		const { signal } = this.#abort;
		const response = await fetch(path, { headers: { accept }, cache: 'no-store', signal });
		if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`);
		return response;
	}

	#heard() {
		this.heardAt = Date.now();
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

function dataOf(event) {
	const data = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
	return data.map((line) => line.slice(5).trimStart()).join('\n');
}
