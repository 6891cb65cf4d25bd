// What the daemon publishes: JSON on request, and a stream of the names that have changed.

const RETRY_MS = [500, 1000, 2000, 4000];
const QUIET_MS = 25000;  // The stream says something every 10 s: longer silence is a dead link.

// The daemon is away, or busy: worth another try.
class Unavailable extends Error {}

// null: there is no such thing.
export async function get(path) {
  let response;
  try {
    response = await fetch(`api/${path}`, {cache: 'no-store', credentials: 'same-origin'});
    if (response.ok) return await response.json();
  } catch (error) {
    throw new Unavailable(error.message);
  }
  if (response.status === 404) return null;
  throw new Unavailable(`the daemon answered ${response.status}`);
}

export function poolPath(id, part = '') {
  return `pools/${encodeURIComponent(id)}${part ? `/${part}` : ''}`;
}

// Follows the stream while the page can be seen: browsers allow six connections to one server, so
// hidden tabs must not keep one. `onLink(state)`: "live" or "lost". `onHello(message)`: of each
// connection. `onChange({now, revision, pools, all})`: coalesced by the daemon.
export function follow({onLink, onHello, onChange}) {
  let tries = 0;
  let source = null;
  let quiet = 0;
  let retry = 0;
  const again = () => {
    source?.close();
    source = null;
    clearTimeout(quiet);
    onLink('lost');
    retry = setTimeout(open, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
  };
  const heard = () => {
    clearTimeout(quiet);
    quiet = setTimeout(again, QUIET_MS);
  };
  const open = () => {
    source = new EventSource('api/stream');
    const on = (type, take) => source.addEventListener(type, (event) => {
      heard();
      let message;
      try {
        message = JSON.parse(event.data);
      } catch {
        return;
      }
      take(message);
    });
    on('hello', (message) => {
      tries = 0;
      onLink('live');
      onHello(message);
    });
    on('change', onChange);
    on('alive', () => {});
    source.onerror = again;
    heard();
  };
  const close = () => {
    clearTimeout(quiet);
    clearTimeout(retry);
    source?.close();
    source = null;
  };
  document.addEventListener('visibilitychange', () => {
    close();
    if (document.hidden) return;
    tries = 0;
    open();
  });
  if (!document.hidden) open();
}

// Runs `task` soon, never twice at a time and at most once in `pause_ms`; calls that come in
// between are one more run.
export function gently(task, pauseMs) {
  let running = false;
  let wanted = false;
  let last = -Infinity;
  const run = async () => {
    if (running) return;
    running = true;
    while (wanted) {
      const wait = last + pauseMs - performance.now();
      if (wait > 0) await new Promise((done) => setTimeout(done, wait));
      wanted = false;
      last = performance.now();
      try {
        await task();
      } catch (error) {
        if (!(error instanceof Unavailable)) reportError(error);
        setTimeout(soon, RETRY_MS[2]);
      }
    }
    running = false;
  };
  const soon = () => {
    wanted = true;
    run();
  };
  return soon;
}
