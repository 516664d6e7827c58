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

export class Daemon {
  /** Whether it gives signs of life between two snapshots. */
  isSilent = false;
  /** `GET /page.js`, one for each request. */
  requests = [];
  bytes = 0;

  #snapshot;
  #server;
  #sockets = new Set();
  #streams = new Set();
  #port = 0;

  constructor(snapshot) {
    this.#snapshot = snapshot;
    const timer = setInterval(() => {
      if (!this.isSilent) this.#write(':\n\n');
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

  #event() {
    return `data: ${JSON.stringify(this.#snapshot)}\n\n`;
  }

  #write(text) {
    for (const response of this.#streams) response.write(text);
  }

  #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    this.requests.push(`${request.method} ${pathname}`);
    if (pathname === '/api/v1/status') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(this.#snapshot));
    } else if (pathname === '/api/v1/stream') {
      response.setHeader('content-type', 'text/event-stream');
      this.#streams.add(response);
      response.on('close', () => this.#streams.delete(response));
      response.write(this.#event());
    } else {
      this.#file(pathname === '/' ? '/index.html' : pathname, response);
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
