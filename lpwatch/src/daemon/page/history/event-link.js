// The events: those that there are, then each new one. After a break the stream goes on
// after the last event that came.

import { dataOf, Link } from '../parts/stream.js';

export class EventLink extends Link {
	#path;
	#last = null;

	/** `onEvents` gets several at a time, oldest first. */
	constructor(path, onEvents, onChange) {
		super(onEvents, onChange);
		this.#path = path;
	}

	/** The stream begins with what there is. */
	async ask() {}

	stream() {
		const headers = { accept: 'text/event-stream' };
		if (this.#last !== null) headers['last-event-id'] = this.#last;
		return [this.#path, headers];
	}

	take(events) {
		const news = [];
		for (const event of events) {
			const data = dataOf(event);
			if (data === '') continue;
			// One that cannot be read is not asked for again.
			this.#last = /^id: *(.*?)\r?$/m.exec(event)?.[1] || this.#last;
			news.push(JSON.parse(data));
		}
		if (news.length > 0) this.onNews(news);
	}
}
