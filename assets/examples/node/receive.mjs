// Receives webhooks on 127.0.0.1 and prints each message once. Usage: receive.mjs PORT
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const SECRET = Buffer.from(process.env.WHARF_WEBHOOK_SECRET.replace(/^whsec_/, ''), 'base64');
const MAX_BODY = 1 << 20;
const seen = new Set();   // keep it in a database if a message must not be processed twice after a restart

function isValid(headers, body) {
  const sentAt = headers['webhook-timestamp'] ?? '';
  if (!/^\d+$/.test(sentAt) || Math.abs(Date.now() / 1000 - Number(sentAt)) > 300) return false;
  const signed = createHmac('sha256', SECRET).update(`${headers['webhook-id']}.${sentAt}.`).update(body);
  const expected = Buffer.from(`v1,${signed.digest('base64')}`);
  return (headers['webhook-signature'] ?? '').split(' ').some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end();
  try {
    const parts = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > MAX_BODY) return answer(413);
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    if (!isValid(request.headers, body)) return answer(401);
    const id = request.headers['webhook-id'];
    if (!seen.has(id)) {
      const event = JSON.parse(body);
      console.log(event.type, event.data.message?.body ?? '');
      seen.add(id);
    }
    answer(204);
  } catch (error) {
    console.error('receive:', error.message);
    if (!response.headersSent) answer(500);   // Wharf repeats the delivery
  }
}).listen(Number(process.argv[2]), '127.0.0.1');
