// The cleaning queue as a value: `reduced(state, event)` is what it is after an event; nothing of the page is known here.
// A decision takes effect at once and waits in line with the id and the state of the image the person saw, until the
// server says that it is done (`request` is what to send next). What the server shows meanwhile may be older than that:
// what waits is done to it again.
import { heard, isDone, newTalk, numbered, stamp } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {import('../../../pipeline/tabs/page/common.js').Talk} Talk
 * @typedef {{ labels: string[], status: string, reason: string, known: number | null }} Seen  an image as it was seen
 * @typedef {object} Row  a picture of the queue
 * @property {string} id
 * @property {string} name
 * @property {string} label  several are joined by |
 * @property {string} suggested
 * @property {number} suggested_probability
 * @property {string} why
 * @property {string} split
 * @property {string[]} likely
 * @property {Seen} seen
 * @property {string | null} thumbnail
 * @property {string | null} large
 * @property {string} trouble
 * @property {string} [taken]  what somebody else decided on it
 *
 * @typedef {object} View  what the server shows: a stretch of the queue, and the counts of all of it
 * @property {string} page  whose message it answers
 * @property {number} done_up_to  the number of the last message that is done
 * @property {string} message
 * @property {boolean} warning
 * @property {boolean} forget  the page can no longer count on taking its own decisions back
 * @property {string | null} focus  the image to go to
 * @property {{ id: string, words: string } | null} fate  what became of the image that was looked at
 * @property {string} key  what was chosen to be looked at
 * @property {string} mark  how far the journal was: last decision-last time something was taken back or redone
 * @property {string} workspace
 * @property {string} run
 * @property {Row[]} rows
 * @property {number} start  the place of the first row in the whole queue
 * @property {number} position
 * @property {number} shown
 * @property {number} done
 * @property {number} left
 * @property {string[]} classes
 * @property {boolean} several  whether a picture may have several labels
 * @property {string} none  the label that stands for no label
 * @property {string} filter
 * @property {string} empty
 * @property {string} outlook
 * @property {boolean} stop
 * @property {number | null} pace
 *
 * @typedef {{ row: Row, index: number, label: string | null }} Item  what was decided on a picture at that place
 * @typedef {{ id: string, label: string | null, seen: Seen }} Sent
 * @typedef {object} Action  what is sent of a decision; `back` stays here: what an undo puts back and a redo takes again
 * @property {number} number
 * @property {string} workspace
 * @property {string} kind
 * @property {string | null} id
 * @property {string | null} label
 * @property {Seen | null} seen
 * @property {Sent[]} [items]
 * @property {readonly Item[]} [back]
 *
 * @typedef {object} State
 * @property {Talk} talk
 * @property {View | null} view
 * @property {readonly Row[]} rows  those of the view, after all that waits
 * @property {string | null} current  the picture that is looked at
 * @property {string | null} first  the first picture of the grid
 * @property {string | null} anchor  where a range of selected pictures begins
 * @property {boolean} many  many at once
 * @property {ReadonlySet<string>} selected
 * @property {readonly string[] | null} draft  the labels that the picture is to get, before they are confirmed
 * @property {readonly Action[]} waiting
 * @property {readonly (readonly Item[])[]} history  what this page decided, to be taken back
 * @property {readonly (readonly Item[])[]} redoable  what this page took back, to be redone
 * @property {{ text: string, warning: boolean } | null} told
 * @property {number} sentAt  when the request under way was sent; 0: none is
 * @property {boolean} wanted  the server is to be asked even where nothing waits
 * @property {{ columns: number, size: number }} grid  how the many are laid out
 *
 * @typedef {(
 *   { type: 'view', view: View } | { type: 'sent', at: number } | { type: 'tick', at: number } |
 *   { type: 'unsaved', actions: readonly Action[] } |
 *   { type: 'keep' } | { type: 'remove' } | { type: 'suggested' } | { type: 'confirm' } | { type: 'undo' } | { type: 'redo' } |
 *   { type: 'label', name: string } | { type: 'move', step: number, extend?: boolean } |
 *   { type: 'go', id: string, extend?: boolean } | { type: 'select', id: string, extend?: boolean } |
 *   { type: 'all' } | { type: 'none' } | { type: 'turn', way: number } | { type: 'mode', many: boolean }
 * )} Event
 */

const AHEAD = 8;
const RETRY = 15000;
const NO_OTHER_LABEL = 'Nothing was done: no other label is suggested for this picture. K keeps the one it has.';
const NONE_OF_THEM = 'Nothing was done: there is no other label for any of these pictures. K keeps those they have.';

/** @returns {State} */
export const newState = (many = false, talk = newTalk()) => ({
  talk,
  view: null,
  rows: [],
  current: null,
  first: null,
  anchor: null,
  many,
  selected: new Set(),
  draft: null,
  waiting: [],
  history: [],
  redoable: [],
  told: null,
  sentAt: 0,
  wanted: false,
  grid: { columns: 1, size: 42 },
});

// --- what follows from it ----------------------------------------------------------------------------------------

/** @param {readonly Row[]} rows @param {string | null} id */
const indexIn = (rows, id) => rows.findIndex((row) => row.id === id);
/** The place of a picture among the rows, -1 where it is not there. @param {State} state @param {string | null} id */
export const indexOf = (state, id) => indexIn(state.rows, id);
/** The picture that is looked at. @param {State} state @returns {Row | null} */
export const shown = (state) => state.rows[indexOf(state, state.current)] ?? null;
/** @param {State} state */
export const gridStart = (state) => Math.max(0, indexOf(state, state.first));
/** @param {State} state */
export const onGrid = (state) => state.rows.slice(gridStart(state), gridStart(state) + state.grid.size);
/** What a decision is for. @param {State} state @returns {readonly Row[]} */
export const targets = (state) => {
  if (state.selected.size) return state.rows.filter((row) => state.selected.has(row.id));
  const row = state.many ? null : shown(state);
  return row ? [row] : [];
};
/** The labels as they are to be, while they are not confirmed. @param {State} state @param {Row} row @returns {readonly string[]} */
export const drafted = (state, row) => state.draft ?? row.label.split('|');
/** @param {State} state */
const around = (state) => (state.many ? state.first : state.current);
/** @param {Iterable<string>} labels */
const joined = (labels) => [...labels].sort().join('|');
/** A label in words. @param {string} label */
export const said = (label) => label.split('|').join(', ');
/** @param {number} n */
export const pictures = (n) => n.toLocaleString('en') + (n === 1 ? ' picture' : ' pictures');

/** What is sent of an action. @param {Action} action @returns {Action} */
export const bare = ({ number, workspace, kind, id, label, seen, items }) => ({ number, workspace, kind, id, label, seen, items });
/**
 * What to send now, null for nothing: one request is under way at a time, and what was decided meanwhile goes out
 * together with the next, in order, of one workspace.
 * @param {State} state
 */
export const request = (state) => {
  const { waiting, view, many } = state;
  if (state.sentAt || !view || (!waiting.length && !state.wanted)) return null;
  const workspace = waiting.length ? waiting[0].workspace : view.workspace;
  const other = waiting.findIndex((action) => action.workspace !== workspace);
  const actions = waiting.slice(0, other < 0 ? waiting.length : other).map(bare);
  return { page: state.talk.page, workspace, actions, at: around(state), many };
};
/** What to ask now and then while nothing is under way: has somebody else decided something? @param {State} state */
export const question = (state) => {
  const { view, many } = state;
  if (!view || !view.run || state.sentAt || state.waiting.length) return null;
  return { mark: view.mark, key: view.key, at: around(state), many };
};
/** How many pictures are done and left, with what waits. @param {State} state */
export const progress = (state) => {
  const view = /** @type {View} */ (state.view);
  /** @param {Action} action */
  const size = (action) => (action.kind === 'undo' ? -1 : 1) * (action.back ?? action.items ?? [0]).length;
  const net = state.waiting.reduce((sum, action) => sum + size(action), 0);
  return { done: Math.max(0, view.done + net), left: Math.max(0, view.left - net) };
};

// --- steps -------------------------------------------------------------------------------------------------------

/** @param {State} state @param {string} text @returns {State} */
const tell = (state, text, warning = false) => ({ ...state, told: { text, warning } });
/** @param {State} state @param {Omit<Action, 'number'>} action @returns {State} */
const queued = (state, action) => {
  const talk = numbered(state.talk);
  return { ...state, talk, waiting: [...state.waiting, { ...action, number: stamp(talk).number }] };
};
/** Ask for more of the queue where its end, or its beginning, comes near. @param {State} state @returns {State} */
const looked = (state) => {
  const { view, rows, many } = state;
  const index = indexOf(state, around(state));
  if (!view || index < 0) return state;
  const seen = many ? state.grid.size : AHEAD;
  const nearEnd = view.start + rows.length < view.shown && index > rows.length - seen - AHEAD;
  const nearStart = view.start > 0 && index < AHEAD;
  const unmade = !many && rows.slice(index, index + 2).some((row) => !row.large && !row.trouble && !row.taken);
  return nearEnd || nearStart || unmade ? { ...state, wanted: true } : state;
};
/** @param {State} state @param {string} id @returns {State} */
const gone = (state, id) => looked({ ...state, current: id, draft: state.current === id ? state.draft : null });
/** The grid goes along when the place leaves it. @param {State} state @param {string} id @returns {State} */
const turnedTo = (state, id) => {
  const { rows, grid } = state;
  const [place, start] = [indexOf(state, id), gridStart(state)];
  if (place < start) return { ...state, first: rows[Math.max(0, place - (place % grid.columns))].id };
  if (place < start + grid.size) return state;
  return { ...state, first: rows[Math.min(rows.length - 1, start + grid.columns)].id };
};
/** One picture more or less, or all from the anchor to it. @param {State} state @param {string} id @returns {State} */
const selectedTo = (state, id, range = false) => {
  const from = indexOf(state, state.anchor ?? state.current);
  const to = indexOf(state, id);
  if (range && from >= 0 && to >= 0) {
    const within = state.rows.slice(Math.min(from, to), Math.max(from, to) + 1);
    return { ...state, selected: new Set(within.map((row) => row.id)), anchor: state.rows[from].id };
  }
  const selected = new Set(state.selected);
  if (!selected.delete(id)) selected.add(id);
  return { ...state, selected, anchor: id };
};

// --- what the server shows ---------------------------------------------------------------------------------------

/** @param {string} mark @param {string} than */
const older = (mark, than) => {
  const [a, b] = [mark, than].map((text) => (text || '0-0').split('-').map(Number));
  return a[0] < b[0] || a[1] < b[1];
};
/** @param {readonly Row[]} rows @param {readonly Item[]} items */
const putBack = (rows, items) => {
  const next = [...rows];
  for (const { row, index } of items) if (indexIn(next, row.id) < 0) next.splice(Math.min(index, next.length), 0, row);
  return next;
};
/** @param {readonly Row[]} rows @param {Action} action @returns {readonly Row[]} */
const replayed = (rows, action) => {
  if (action.kind === 'undo') return putBack(rows, action.back ?? []);
  const ids = new Set(action.back?.map((item) => item.row.id) ?? action.items?.map((item) => item.id) ?? [action.id]);
  return rows.filter((row) => !ids.has(row.id));
};
/** Somebody else decided on what is on the screen: it stays there, says so, and can no longer be decided on. @param {State} state @param {State} before @returns {State} */
const taken = (state, before) => {
  const { view, waiting } = state;
  const selected = new Set([...state.selected].filter((id) => indexOf(state, id) >= 0));
  const lost = state.selected.size - selected.size;
  const next = { ...state, selected };
  const after = lost && !waiting.length ? tell(next, 'Somebody else decided on ' + pictures(lost) + ' of your selection.', true) : next;
  const had = shown(before);
  const fate = view && !view.focus ? view.fate : null;
  if (state.many || !fate || !had || fate.id !== had.id || fate.id !== state.current || waiting.length) return after;
  const rows = [...state.rows];
  rows.splice(Math.min(indexOf(before, had.id), rows.length), 0, { ...had, taken: fate.words });
  return tell({ ...after, rows }, 'Somebody else decided on this picture: it was ' + fate.words + '. Go on with →.', true);
};
/** @param {State} before @param {View} view @returns {State} */
const received = (before, view) => {
  const mine = view.page === before.talk.page;
  const same = before.view !== null && before.view.key === view.key;
  if (!mine && before.view && same && older(view.mark, before.view.mark)) return before; // it was overtaken
  const talk = heard(before.talk, { page: view.page, number: view.done_up_to });
  const waiting = before.waiting.filter((action) => !isDone(talk, action.number));
  /** @type {State} */
  let state = { ...before, talk, waiting, view, rows: waiting.reduce(replayed, view.rows) };
  if (mine) state.sentAt = 0;
  if (!same || view.forget) state = { ...state, history: [], redoable: [] };
  if (view.message) state = tell(state, view.message, view.warning);
  if (view.focus && !waiting.length) state.current = state.first = view.focus;
  state = taken(state, before);
  if (!shown(state)) {
    const row = state.rows[Math.min(Math.max(view.position - view.start, 0), state.rows.length - 1)];
    state = { ...state, current: row ? row.id : null };
  }
  return looked(state);
};

// --- deciding ----------------------------------------------------------------------------------------------------

/** `labelOf` gives each picture its label, or null to leave that picture as it is. @param {State} state @param {string} kind @param {(row: Row) => string | null} [labelOf] @returns {State} */
const decided = (state, kind, labelOf) => {
  const chosen = targets(state);
  if (!chosen.length) {
    return state.many && state.rows.length ? tell(state, 'Select pictures first: click them, or press A for all.', true) : state;
  }
  const lost = chosen.find((row) => row.taken);
  if (lost) return tell(state, 'Nothing was done: somebody else decided on it, it was ' + lost.taken + '. Go on with →.', true);
  const items = chosen.map((row) => ({ row, index: indexOf(state, row.id), label: labelOf ? labelOf(row) : null }));
  const taking = labelOf ? items.filter((item) => item.label) : items;
  if (!taking.length) return tell(state, chosen.length > 1 ? NONE_OF_THEM : NO_OTHER_LABEL, true);
  const left = items.length - taking.length;
  const done = without(waitsFor(state, kind, taking), taking);
  return tell(done, inWords(kind, taking) + (left ? ' ' + pictures(left) + ' left.' : '') + ' U takes it back.');
};
/** @param {State} state @param {string} kind @param {readonly Item[]} items @returns {State} */
const waitsFor = (state, kind, items) => {
  const sent = items.map(({ row, label }) => ({ id: row.id, label, seen: row.seen }));
  const several = sent.length > 1 ? { items: sent, seen: null } : {};
  const { workspace } = /** @type {View} */ (state.view);
  /** @type {Omit<Action, 'number'>} */
  const action = { workspace, kind, ...sent[0], ...several };
  return { ...queued(state, action), wanted: true, redoable: [] };
};
/** The pictures leave the queue, and the next one comes. @param {State} state @param {readonly Item[]} items @returns {State} */
const without = (state, items) => {
  const ids = new Set(items.map((item) => item.row.id));
  const rows = state.rows.filter((row) => !ids.has(row.id));
  const after = state.rows.slice(indexOf(state, state.current)).find((row) => !ids.has(row.id));
  const top = gridStart(state);
  /** @type {string | null} */
  let current = (after ?? rows[rows.length - 1])?.id ?? null;
  const first = indexIn(rows, state.first) < 0 ? (rows[Math.min(top, rows.length - 1)]?.id ?? null) : state.first;
  if (state.many && indexIn(rows, current) < indexIn(rows, first)) current = first;
  const history = [...state.history, items];
  return { ...state, rows, history, current, first, anchor: current, selected: new Set(), draft: null };
};
/** @param {string} kind @param {readonly Item[]} items */
const inWords = (kind, items) => {
  const [{ row, label }] = items;
  if (items.length === 1) {
    const one = { keep: 'Kept as ' + said(row.label), remove: 'Removed', relabel: said(row.label) + ' → ' + said(label ?? '') }[kind];
    return one + ': ' + row.name + '.';
  }
  const to = new Set(items.map((item) => item.label));
  const labels = to.size === 1 ? ' → ' + said(label ?? '') : ' relabelled';
  return pictures(items.length) + { keep: ' kept', remove: ' removed', relabel: labels }[kind] + '.';
};
/** @param {State} state @returns {State} */
const undone = (state) => {
  if (!state.view) return state;
  const { workspace } = state.view;
  const last = state.history[state.history.length - 1];
  if (!last) return { ...queued(state, { workspace, kind: 'undo', id: null, label: null, seen: null }), redoable: [] };
  const [{ row }] = last;
  let next = queued(state, { workspace, kind: 'undo', id: row.id, label: null, seen: null, back: last });
  next = { ...next, rows: putBack(next.rows, last), history: next.history.slice(0, -1), current: row.id, draft: null };
  next.redoable = [...next.redoable, last];
  if (next.many) next = turnedTo(next, row.id);
  next.selected = new Set(last.length > 1 ? last.map((item) => item.row.id) : []);
  return tell(next, 'Taken back: ' + (last.length > 1 ? pictures(last.length) : row.name));
};
/** @param {State} state @returns {State} */
const redone = (state) => {
  if (!state.view) return state;
  const { workspace } = state.view;
  const last = state.redoable[state.redoable.length - 1];
  if (!last) return { ...queued(state, { workspace, kind: 'redo', id: null, label: null, seen: null }), history: [] };
  const [{ row }] = last;
  const next = queued(state, { workspace, kind: 'redo', id: row.id, label: null, seen: null, back: last });
  const done = without({ ...next, wanted: true, redoable: next.redoable.slice(0, -1) }, last);
  return tell(done, 'Redone: ' + (last.length > 1 ? pictures(last.length) : row.name) + '. U takes it back.');
};

// --- several labels a picture: keys toggle, Enter confirms --------------------------------------------------------

/** @param {readonly string[]} labels @param {string} name @param {string} none */
const toggled = (labels, name, none) => {
  if (labels.includes(name)) return labels.filter((label) => label !== name);
  return name === none ? [name] : [...labels.filter((label) => label !== none), name];
};
/** @param {State} state @param {string} name @returns {State} */
const labelled = (state, name) => {
  const { view } = state;
  if (!view || !name) return state;
  if (!view.several) return decided(state, 'relabel', () => name);
  if (state.many || state.selected.size) {
    const wanted = !targets(state).every((row) => row.label.split('|').includes(name));
    return decided(state, 'relabel', (row) => {
      const labels = row.label.split('|');
      return labels.includes(name) === wanted ? null : joined(toggled(labels, name, view.none)) || null;
    });
  }
  const row = shown(state);
  return row ? { ...state, draft: toggled(drafted(state, row), name, view.none) } : state;
};
/** @param {State} state @returns {State} */
const confirmed = (state) => {
  const row = shown(state);
  if (!row || state.many || state.selected.size) return state;
  const label = joined(drafted(state, row));
  if (!label) return tell(state, 'A picture needs one label at least; D takes it out.', true);
  return label === row.label ? decided(state, 'keep') : decided(state, 'relabel', () => label);
};

// --- moving ------------------------------------------------------------------------------------------------------

/** @param {State} state @param {number} step @returns {State} */
const moved = (state, step, extend = false) => {
  const next = state.rows[indexOf(state, state.current) + step];
  if (!next) return state;
  let after = extend ? selectedTo(state, next.id, true) : { ...state, anchor: next.id };
  if (!extend && !state.many) after = { ...after, selected: new Set() };
  if (state.many) after = turnedTo(after, next.id);
  return gone(after, next.id);
};
/** @param {State} state @param {number} way @returns {State} */
const turned = (state, way) => {
  const { rows, grid } = state;
  const start = gridStart(state);
  const row = rows[Math.min(Math.max(start + way * grid.size, 0), Math.max(rows.length - 1, 0))];
  if (!row || (way > 0 && start + grid.size >= rows.length)) return state;
  return looked({ ...state, first: row.id, current: row.id, anchor: row.id });
};
/** The request that is under way is not answered. @param {State} state @param {number} at @returns {State} */
const waited = (state, at) => {
  if (!state.sentAt || at - state.sentAt < RETRY) return state;
  const text = 'The server does not answer. ' + state.waiting.length + ' not saved yet; trying again…';
  return tell({ ...state, sentAt: 0, wanted: true }, text, true);
};
/** What was decided before the page was reloaded and not answered for. @param {State} state @param {readonly Action[]} actions @returns {State} */
const takenUp = (state, actions) => {
  const next = actions.reduce(queued, state);
  return actions.length ? tell(next, 'Sent now: ' + actions.length + ' decided before the page was reloaded.') : next;
};

/** The queue after an event: the very same where nothing has changed. @param {State} state @param {Event} event @returns {State} */
export const reduced = (state, event) => {
  switch (event.type) {
    case 'view':
      return received(state, event.view);
    case 'sent':
      return { ...state, sentAt: event.at, wanted: false };
    case 'tick':
      return waited(state, event.at);
    case 'unsaved':
      return takenUp(state, event.actions);
    case 'keep':
    case 'remove':
      return decided(state, event.type);
    case 'suggested':
      return decided(state, 'relabel', (row) => (row.suggested !== row.label ? row.suggested : null));
    case 'label':
      return labelled(state, event.name.trim());
    case 'confirm':
      return confirmed(state);
    case 'undo':
      return undone(state);
    case 'redo':
      return redone(state);
    case 'move':
      return moved(state, event.step, event.extend);
    case 'go':
      return gone(event.extend ? selectedTo(state, event.id, true) : { ...state, selected: new Set(), anchor: event.id }, event.id);
    case 'select':
      return gone(selectedTo(state, event.id, event.extend), event.id);
    case 'all':
      return { ...state, selected: new Set([...state.selected, ...onGrid(state).map((row) => row.id)]) };
    case 'none':
      return { ...state, selected: new Set(), anchor: state.current };
    case 'turn':
      return turned(state, event.way);
    case 'mode':
      return looked({ ...state, many: event.many, first: state.current, selected: new Set(), draft: null });
    default:
      return state;
  }
};
