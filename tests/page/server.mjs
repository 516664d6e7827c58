// A daemon of the test's own: serves the page's files with the headers the real
// one sends, and whatever snapshots it is told.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const PAGE = new URL('../../lpwatch/src/daemon/page/', import.meta.url);
const SNAPSHOTS = new URL('snapshots/', import.meta.url);
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' };
const HEADERS = Object.fromEntries(
  readFileSync(new URL('headers.txt', PAGE), 'utf8').trim().split('\n').map((line) => {
    const at = line.indexOf(': ');
    return [line.slice(0, at), line.slice(at + 2)];
  }),
);
const SIGN_OF_LIFE = 5000;

/** A snapshot as the daemon would give it. */
export function recorded(name) {
  return JSON.parse(readFileSync(new URL(`${name}.json`, SNAPSHOTS), 'utf8'));
}

/** What the daemon would give of its history: `transitions` or `events`. */
export function kept(name) {
  return JSON.parse(readFileSync(new URL(`history/${name}.json`, import.meta.url), 'utf8'));
}

export class Daemon {
  /** The history, which a test may change; `null` if none is kept. */
  history = kept('transitions');
  /** What `Last-Event-ID` each stream of events began with. */
  resumed = [];
  /** Whether it gives signs of life between two snapshots. */
  isSilent = false;
  /** `GET /page.js`, one for each request. */
  requests = [];
  bytes = 0;

  #snapshot;
  #server;
  #sockets = new Set();
  #streams = new Set();
  #events = kept('events');
  #eventStreams = new Set();
  #port = 0;

  constructor(snapshot) {
    this.#snapshot = snapshot;
    const timer = setInterval(() => {
      if (!this.isSilent) this.#write(':\n\n', [...this.#streams, ...this.#eventStreams]);
    }, SIGN_OF_LIFE);
    timer.unref();
  }

  get url() {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Listens, on the same port as before if it did before. */
  async start() {
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise((done, failed) => {
      this.#server.once('error', failed).listen(this.#port, '127.0.0.1', done);
    });
    this.#port = this.#server.address().port;
  }

  /** Goes away at once, as when it is killed. */
  async stop() {
    const closed = new Promise((done) => this.#server.close(done));
    for (const socket of this.#sockets) socket.destroy();
    this.#streams.clear();
    this.#eventStreams.clear();
    await closed;
  }

  tell(snapshot) {
    this.#snapshot = snapshot;
    this.#write(this.#event());
  }

  /** Something that is no snapshot. */
  tellRaw(data) {
    this.#write(`data: ${data}\n\n`);
  }

  /** Something happens. */
  happen(event) {
    const id = this.#events.events.at(-1).id + 1;
    this.#events.events.push({ ...this.#events.events.at(-1), ...event, id });
    this.#write(this.#entry(this.#events.events.at(-1)), this.#eventStreams);
  }

  /** All that has happened is this. */
  set events(all) {
    this.#events.events = all;
  }

  #entry(event) {
    const { events: _, notes: __, ...head } = this.#events;
    return `id: ${event.id}\ndata: ${JSON.stringify({ ...head, ...event })}\n\n`;
  }

  #event() {
    return `data: ${JSON.stringify(this.#snapshot)}\n\n`;
  }

  #write(text, streams = this.#streams) {
    for (const response of streams) response.write(text);
  }

  #answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.url);
    this.requests.push(`${request.method} ${pathname}`);
    if (pathname === '/api/v1/status') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(this.#snapshot));
    } else if (pathname === '/api/v1/stream') {
      response.setHeader('content-type', 'text/event-stream');
      this.#streams.add(response);
      response.on('close', () => this.#streams.delete(response));
      response.write(this.#event());
    } else if (pathname === '/api/v1/history') {
      this.#past(response, Number(searchParams.get('limit')));
    } else if (pathname === '/api/v1/events/stream') {
      this.#tellEvents(request, response);
    } else {
      this.#file({ '/': '/index.html', '/history': '/history/index.html' }[pathname] ?? pathname, response);
    }
  }

  #past(response, limit) {
    if (this.history === null) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('This daemon keeps no history: it runs with --history-dir none.\n');
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...this.history, transitions: this.history.transitions.slice(0, limit) }));
  }

  #tellEvents(request, response) {
    const last = request.headers['last-event-id'];
    this.resumed.push(last);
    response.setHeader('content-type', 'text/event-stream');
    response.flushHeaders();
    this.#eventStreams.add(response);
    response.on('close', () => this.#eventStreams.delete(response));
    for (const event of this.#events.events) {
      if (last === undefined || event.id > Number(last)) response.write(this.#entry(event));
    }
  }

  #file(path, response) {
    try {
      const body = readFileSync(new URL(`.${path}`, PAGE));
      this.bytes += body.length;
      response.writeHead(200, { ...HEADERS, 'content-type': TYPES[path.split('.').pop()] });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }
}
