// The page: which view the address names, the link to the daemon, and the keys.

import {el, setData, setText} from './dom.js';
import {follow} from './feed.js';
import {overview} from './overview.js';
import {poolView} from './pool.js';
import {age, setDaemonTime} from './words.js';

const main = document.getElementById('main');
const crumbs = document.getElementById('crumbs');
let view = null;
let hello = null;

// "#/pools/web" -> "web"; null: the overview.
function poolOfAddress() {
  const match = /^#\/pools\/([^/]+)$/.exec(location.hash);
  if (!match) return null;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

function show() {
  const id = poolOfAddress();
  view?.close();
  crumbs.replaceChildren();
  if (id !== null) {
    crumbs.append(el('a', {href: '#/', text: 'Pools'}),
      el('span', {text: '/', 'aria-hidden': 'true'}),
      el('span', {'aria-current': 'page', text: id}));
  }
  document.title = id === null ? 'shadowd' : `${id} · shadowd`;
  view = id === null ? overview() : poolView(id);
  main.replaceChildren(view.node);
  if (hello) view.refresh();  // Otherwise once the daemon greets.
  window.scrollTo(0, 0);
}

window.addEventListener('hashchange', () => {
  if (location.hash === '#main') return;
  show();
  main.focus({preventScroll: true});
});

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === '/' && !typing) {
    if (view.filter) {
      event.preventDefault();
      view.filter.focus();
    }
  } else if (event.key === 'Escape') {
    if (typing && event.target.value) {
      event.target.value = '';
      event.target.dispatchEvent(new Event('input'));
    } else if (poolOfAddress() !== null) {
      location.hash = '#/';
    }
  }
});

const link = document.getElementById('link');
const linkText = document.getElementById('link-text');
let lostSince = 0;

function setLink(state) {
  if (state === 'live') lostSince = 0;
  else if (!lostSince) lostSince = Date.now();
  setData(link, 'link', state);
  setText(linkText, state === 'live' ? 'Live' : 'Reconnecting');
  link.title = state === 'live' ? 'Changes arrive as they happen'
    : 'The daemon does not answer; what is shown may be old';
  document.body.classList.toggle('stale', state !== 'live');
}

function tick() {
  if (hello) {
    setText(document.getElementById('about'),
      `shadowd ${hello.version} · up ${age(hello.start)} · revision ${hello.revision}`);
  }
  view?.tick();
}

show();
follow({
  onLink: setLink,
  onHello: (message) => {
    setDaemonTime(message.now);
    hello = message;
    tick();
    view.refresh();
  },
  onChange: (change) => {
    setDaemonTime(change.now);
    if (hello) hello.revision = change.revision;
    view.changed(change);
  },
});
setInterval(tick, 1000);
