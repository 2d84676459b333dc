// The cleaning queue. A decision takes effect on the page at once and is sent with the id and the state of the image the
// person saw. One request is under way at a time; what is decided meanwhile waits in line and goes out together with
// the next, in order, so that fast typing neither drops nor mixes up anything. The server says how far it has done them.
// What was not answered for is kept in the browser's session: Gradio reloads the page by itself when a connection breaks.
// While nothing is under way the page asks now and then whether somebody else has decided something.
import { keepFocus, make, percent, picture } from '../../../pipeline/tabs/page/common.js';

const root = element.querySelector('.queue');
const AHEAD = 8;
const RETRY = 15000;
const ASK_EVERY = 6000;
const UNSAVED = 'winnow-clean-unsaved';
const MANY = 'winnow-clean-many';
let view = null;
let rows = [];
let current = null;
let first = null;
let many = sessionStorage.getItem(MANY) === 'yes';
let anchor = null;
let draft = null;
let waiting = [];
let history = [];
let number = 0;
const selected = new Set();
const page = Math.random().toString(36).slice(2);
let sentAt = 0;
let wanted = false;
let local = null;

const indexOf = (id) => rows.findIndex((row) => row.id === id);
const shown = () => rows[indexOf(current)] || null;
const said = (label) => label.split('|').join(', ');
const tell = (text, warning = false) => {
  local = { text, warning };
};
const pictures = (n) => n.toLocaleString('en') + (n === 1 ? ' picture' : ' pictures');
const visible = () => element.offsetParent !== null && document.visibilityState === 'visible';

// --- talking to the server -----------------------------------------------------------------------------------

const around = () => (many ? first : current);
const send = () => {
  if (sentAt || (!waiting.length && !wanted)) return;
  sentAt = Date.now();
  wanted = false;
  const workspace = waiting.length ? waiting[0].workspace : view.workspace;
  const other = waiting.findIndex((action) => action.workspace !== workspace);
  const actions = waiting.slice(0, other < 0 ? waiting.length : other).map(bare);
  trigger('act', { page, workspace, actions, at: around(), many });
};
const bare = ({ number, workspace, kind, id, label, seen, items }) => ({ number, workspace, kind, id, label, seen, items });
const queueUp = (action) => {
  waiting.push({ ...action, number: ++number });
  remember();
};
const remember = () => {
  if (waiting.length) sessionStorage.setItem(UNSAVED, JSON.stringify(waiting.map(bare)));
  else sessionStorage.removeItem(UNSAVED);
};
const older = (mark, than) => {
  const [a, b] = [mark, than].map((text) => (text || '0-0').split('-').map(Number));
  return a[0] < b[0] || a[1] < b[1];
};
const receive = () => {
  const next = props.value;
  if (!next) return;
  const mine = next.page === page;
  if (!mine && view && view.key === next.key && older(next.mark, view.mark)) return; // it was overtaken
  if (!view || view.key !== next.key) history = [];
  const had = shown();
  const place = indexOf(current);
  view = next;
  if (mine) {
    sentAt = 0;
    waiting = waiting.filter((action) => action.number > next.done_up_to);
    remember();
  }
  rows = next.rows.slice();
  for (const action of waiting) replay(action);
  if (next.message) tell(next.message, next.warning);
  if (next.forget) history = [];
  if (next.focus && !waiting.length) current = first = next.focus;
  taken(next.focus ? null : next.fate, had, place);
  if (indexOf(current) < 0) {
    const row = rows[Math.min(Math.max(next.position - next.start, 0), rows.length - 1)];
    current = row ? row.id : null;
  }
  draw();
  send();
  look();
};
// Somebody else decided on what is on the screen: it stays there, says so, and can no longer be decided on.
const taken = (fate, had, place) => {
  const gone = [...selected].filter((id) => indexOf(id) < 0);
  gone.forEach((id) => selected.delete(id));
  if (gone.length && !waiting.length) tell('Somebody else decided on ' + pictures(gone.length) + ' of your selection.', true);
  if (many || !fate || !had || fate.id !== had.id || fate.id !== current || waiting.length) return;
  rows.splice(Math.min(place, rows.length), 0, { ...had, taken: fate.words });
  tell('Somebody else decided on this picture: it was ' + fate.words + '. Go on with →.', true);
};
const replay = (action) => {
  if (action.kind !== 'undo') {
    const ids = new Set(action.items ? action.items.map((item) => item.id) : [action.id]);
    rows = rows.filter((row) => !ids.has(row.id));
  } else putBack(action.back || []);
};
const putBack = (items) => {
  for (const { row, index } of items) if (indexOf(row.id) < 0) rows.splice(Math.min(index, rows.length), 0, row);
};
const look = () => {
  const index = indexOf(around());
  const seen = many ? gridSize() : AHEAD;
  const nearEnd = view.start + rows.length < view.shown && index > rows.length - seen - AHEAD;
  const nearStart = view.start > 0 && index < AHEAD;
  const unmade = !many && rows.slice(index, index + 2).some((row) => !row.large && !row.trouble && !row.taken);
  if (index >= 0 && (nearEnd || nearStart || unmade)) {
    wanted = true;
    send();
  }
};
const watchdog = setInterval(() => {
  if (!element.isConnected) return clearInterval(watchdog);
  if (!sentAt || Date.now() - sentAt < RETRY) return;
  sentAt = 0;
  tell('The server does not answer. ' + waiting.length + ' not saved yet; trying again…', true);
  wanted = true;
  draw();
  send();
}, 1000);
const asking = setInterval(() => {
  if (!element.isConnected) return clearInterval(asking);
  if (view && view.run && !sentAt && !waiting.length && visible()) trigger('look', { mark: view.mark, key: view.key, at: around(), many });
}, ASK_EVERY);

// --- deciding ------------------------------------------------------------------------------------------------------

const targets = () => (selected.size ? rows.filter((row) => selected.has(row.id)) : many ? [] : [shown()].filter(Boolean));
// `labelOf` gives each picture its label, or null to leave that picture as it is.
const decide = (kind, labelOf) => {
  const chosen = targets();
  if (!chosen.length) return many && rows.length && (tell('Select pictures first: click them, or press A for all.', true), draw());
  const lost = chosen.find((row) => row.taken);
  if (lost) return tell('Nothing was done: somebody else decided on it, it was ' + lost.taken + '. Go on with →.', true), draw();
  const items = chosen.map((row) => ({ row, index: indexOf(row.id), label: labelOf ? labelOf(row) : null }));
  const taking = labelOf ? items.filter((item) => item.label) : items;
  if (!taking.length) return tell('Nothing to do: there is no other label to take.', true), draw();
  act(kind, taking, items.length - taking.length);
};
const act = (kind, items, left) => {
  const ids = new Set(items.map((item) => item.row.id));
  const top = Math.max(indexOf(first), 0);
  const after = rows.slice(indexOf(current)).find((row) => !ids.has(row.id));
  rows = rows.filter((row) => !ids.has(row.id));
  history.push(items);
  const sent = items.map(({ row, label }) => ({ id: row.id, label, seen: row.seen }));
  const [one] = sent;
  queueUp({ workspace: view.workspace, kind, ...one, ...(sent.length > 1 ? { items: sent, seen: null } : {}) });
  tell(inWords(kind, items) + (left ? ' ' + pictures(left) + ' left.' : '') + ' U takes it back.');
  selected.clear();
  draft = null;
  const next = after || rows[rows.length - 1];
  current = next ? next.id : null;
  if (indexOf(first) < 0) first = rows[Math.min(top, rows.length - 1)]?.id ?? null;
  if (many && indexOf(current) < indexOf(first)) current = first;
  anchor = current;
  draw();
  come();
  wanted = true;
  send();
};
const inWords = (kind, items) => {
  const [{ row, label }] = items;
  if (items.length === 1) {
    return { keep: 'Kept as ' + said(row.label), remove: 'Removed', relabel: said(row.label) + ' → ' + said(label ?? '') }[kind] + ': ' + row.name + '.';
  }
  const to = new Set(items.map((item) => item.label));
  const labels = to.size === 1 ? ' → ' + said(label ?? '') : ' relabelled';
  return pictures(items.length) + { keep: ' kept', remove: ' removed', relabel: labels }[kind] + '.';
};
const undo = () => {
  const last = history.pop();
  const action = { workspace: view.workspace, kind: 'undo', id: last ? last[0].row.id : null, label: null, seen: null };
  if (last) {
    action.back = last;
    putBack(last);
    current = last[0].row.id;
    if (many) turnTo(current);
    selected.clear();
    draft = null;
    if (last.length > 1) last.forEach((item) => selected.add(item.row.id));
    tell('Taken back: ' + (last.length > 1 ? pictures(last.length) : last[0].row.name));
  }
  queueUp(action);
  draw();
  send();
};
const go = (id) => {
  if (current !== id) draft = null;
  current = id;
  draw();
  look();
};
const move = (step, extend) => {
  const next = rows[indexOf(current) + step];
  if (!next) return;
  if (extend) select(next.id, true);
  else if (!many) selected.clear();
  if (!extend) anchor = next.id;
  if (many) turnTo(next.id);
  go(next.id);
  come();
};
// Select one picture more or less, or all from the anchor to it.
const select = (id, range) => {
  const from = indexOf(anchor ?? current);
  const to = indexOf(id);
  if (range && from >= 0) {
    selected.clear();
    for (let place = Math.min(from, to); place <= Math.max(from, to); place++) selected.add(rows[place].id);
    anchor = rows[from].id;
    return;
  }
  if (selected.has(id)) selected.delete(id);
  else selected.add(id);
  anchor = id;
};
const come = () => {
  const box = (many ? tiles : stage).getBoundingClientRect();
  if (!many && box.height && (box.top < 0 || box.bottom > window.innerHeight)) root.scrollIntoView({ block: 'start' });
};
const relabel = (name) => {
  const label = name.trim();
  if (!label) return;
  if (view.several) return toggle(label);
  decide('relabel', () => label);
};
const suggest = () => decide('relabel', (row) => (row.suggested !== row.label ? row.suggested : null));
const setMany = (yes) => {
  many = yes;
  sessionStorage.setItem(MANY, yes ? 'yes' : 'no');
  first = current;
  selected.clear();
  draft = null;
  draw();
  look();
};
