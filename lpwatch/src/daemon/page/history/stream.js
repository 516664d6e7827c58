// The events: those that there are, then each new one. After a break the stream goes on
// after the last event that came.
//
// It is read with fetch: EventSource hides the keep-alives of a host at rest.

const FIRST_WORD = 10_000; // for an answer to begin
const QUIET = 20_000; // the daemon sends a keep-alive every 15 s
const SILENT = 45_000; // then the connection is given up
const LONGEST_PAUSE = 15_000;

export class EventStream {
	/** `connecting`, `live` or `gone`. */
	state = 'connecting';
	heardAt = null;
	retryAt = null;
	trouble = null;

	#path;
	#last = null;
	#pause = 1000;
	#askedAt = 0;
	#abort = null;
	#wake = () => {};
	#onEvents;
	#onChange;

	/** `onEvents` gets several at a time, oldest first. */
	constructor(path, onEvents, onChange) {
		this.#path = path;
		this.#onEvents = onEvents;
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
		for (;;) {
			this.#abort = new AbortController();
			this.#askedAt = Date.now();
			try {
				await this.#follow();
			} catch (error) {
				this.trouble = error instanceof TypeError ? 'it cannot be reached' : error.message;
			}
			await this.#rest();
		}
	}

	async #follow() {
		const headers = { accept: 'text/event-stream' };
		if (this.#last !== null) headers['last-event-id'] = this.#last;
		const response = await fetch(this.#path, { headers, cache: 'no-store', signal: this.#abort.signal });
		if (!response.ok) throw new Error(`it answers ${response.status} ${response.statusText}`);
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		this.#heard();
		this.#pause = 1000;
		this.#become('live');
		let rest = '';
		for (;;) {
			const { value, done } = await reader.read();
			if (done) throw new Error('it closed the connection');
			this.#heard();
			const parts = (rest + value).split(/\r?\n\r?\n/);
			rest = parts.pop();
			this.#take(parts);
		}
	}

	#take(parts) {
		const events = [];
		for (const part of parts) {
			const data = field(part, 'data:');
			if (data === '') continue;
			// One that cannot be read is not asked for again.
			this.#last = field(part, 'id:') || this.#last;
			events.push(JSON.parse(data));
		}
		if (events.length > 0) this.#onEvents(events);
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

function field(event, name) {
	const lines = event.split(/\r?\n/).filter((line) => line.startsWith(name));
	return lines.map((line) => line.slice(name.length).trimStart()).join('\n');
}
