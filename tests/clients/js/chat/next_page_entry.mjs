// The script of the page in a browser: its settings are in the address.
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { NextPage } from './next_page.mjs';

const query = new URLSearchParams(location.search);
createRoot(document.getElementById('page')).render(createElement(NextPage, {
  user: { id: query.get('user') },
  transports: [query.get('transport')],
  origin: query.get('origin') ?? '',
  isEarlier: query.get('version') === 'earlier',
}));
