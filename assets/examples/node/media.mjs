// Sends a file or saves one. Usage: media.mjs send NUMBER FILE | media.mjs save MESSAGE-ID FILE
import { createWriteStream, openAsBlob } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { post, request } from './wharf.mjs';

const [command, target, path] = process.argv.slice(2);
if (command === 'send') {
  const body = await openAsBlob(path, { type: 'application/octet-stream' });
  const { mediaId } = (await (await request('/media', { body })).json()).data;
  console.log((await post('/messages/send', { to: target, media: { mediaId } })).id);
} else if (command === 'save') {
  const answer = await request(`/messages/${encodeURIComponent(target)}/media/download`);
  await pipeline(Readable.fromWeb(answer.body), createWriteStream(path));
} else {
  console.error('media.mjs send NUMBER FILE | media.mjs save MESSAGE-ID FILE');
  process.exitCode = 2;
}
