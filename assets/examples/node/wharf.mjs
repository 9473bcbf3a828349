// A client of Wharf's REST interface for Node 20, without packages. Reads WHARF_URL, WHARF_DEVICE and WHARF_KEY.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

const { WHARF_URL = 'http://127.0.0.1:3000', WHARF_DEVICE = 'demo', WHARF_KEY } = process.env;
const API = `${WHARF_URL}/api/v1/devices/${WHARF_DEVICE}`;

/** A request; a `body` makes it a POST. An answer of 400 and above throws an error with its `status`. */
export async function request(path, { body, headers = {}, signal } = {}) {
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await fetch(API + path, { method, body, headers: { 'X-API-KEY': WHARF_KEY, ...headers }, signal });
  if (!answer.ok) throw Object.assign(new Error(`${answer.status}: ${await answer.text()}`), { status: answer.status });
  return answer;
}

export async function post(path, body, headers = {}) {
  const json = { 'Content-Type': 'application/json', ...headers };
  const answer = await request(path, { body: JSON.stringify(body), headers: json, signal: AbortSignal.timeout(30_000) });
  return (await answer.json()).data;
}

/** Sends a message. The same key again within 24 hours sends nothing and returns the same answer. */
export const send = (key, body) => post('/messages/send', body, { 'Idempotency-Key': key });

/** Follows the event log after the position in a file; ends with the connection. The daemon sends comments when idle. */
export async function* messages(path) {
  const after = await readPosition(path);
  const idle = new AbortController();
  let timer = setTimeout(() => idle.abort(), 60_000);
  try {
    const headers = { Accept: 'text/event-stream' };
    const answer = await request(`/events?types=message&after=${after}`, { headers, signal: idle.signal });
    let text = '';
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer);
      timer = setTimeout(() => idle.abort(), 60_000);
      const lines = (text + part).split('\n');
      text = lines.pop();
      for (const line of lines) {
        const event = line.startsWith('data: ') ? JSON.parse(line.slice(6)) : {};
        if ('oldestSeq' in event) return resync(path, after, event);
        if (event.message) yield event;
      }
    }
  } finally {
    clearTimeout(timer);
    idle.abort();
  }
}

/** Moves the position to the entries that the log still has, or to its end if it is an older log, of a backup. */
function resync(path, after, { oldestSeq, newestSeq }) {
  const position = after > newestSeq ? newestSeq : oldestSeq - 1;
  console.error(`resync: events after ${after} are missing, continued after ${position}: reload over REST`);
  writePosition(path, position);
}

/** The number of the last processed event; at the first start, the newest one. */
export async function readPosition(path) {
  if (existsSync(path)) return Number(readFileSync(path, 'utf8'));
  const { newestSeq } = await (await request('/events?limit=1', { signal: AbortSignal.timeout(30_000) })).json();
  writePosition(path, newestSeq);
  return newestSeq;
}

/** Replaces the file at once, so that a crash leaves the old or the new number. */
export function writePosition(path, seq) {
  const file = openSync(`${path}.new`, 'w');
  writeSync(file, String(seq));
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
