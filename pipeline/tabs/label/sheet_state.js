// A sheet of pictures that are to be named, as a value: `reduced(state, event)` is what it is after an event; nothing of
// the page is known here. One message is under way at a time; until it is answered nothing else is decided.
import { heard, isDone, newTalk, numbered, stamp } from '../page/common.js';

/**
 * @typedef {import('../page/common.js').Talk} Talk
 * @typedef {{ id: string, name: string, thumbnail: string | null }} Picture
 * @typedef {{ id: string, suggested: string, copies: number, images: Picture[] }} Sheet
 *
 * @typedef {object} View  what the server shows
 * @property {string} workspace
 * @property {string} mark  how far the journal was
 * @property {number} unseen  how many pictures were not looked at
 * @property {boolean} working  whether they are being looked at
 * @property {boolean} keep  the page keeps the sheet that it has
 * @property {string} of  the sheet that was asked about, empty where none was
 * @property {Sheet | null} sheet
 * @property {string[]} classes  the likeliest first
 * @property {boolean} several  whether a picture may have several labels
 * @property {string} none  the label that stands for no label
 * @property {string} progress
 * @property {number} share
 * @property {string} note
 * @property {string} empty
 * @property {{ words: string, warning: boolean }} told
 * @property {string} made  a picture of what was just done, where that may be taken back
 * @property {boolean} forget
 * @property {{ page: string, number: number }} answer
 *
 * @typedef {object} Message
 * @property {string} page
 * @property {number} number
 * @property {string} workspace
 * @property {string} kind
 * @property {string} sheet
 * @property {string} label
 * @property {string[]} but
 * @property {string[]} images
 * @property {string} about
 *
 * @typedef {object} State
 * @property {Talk} talk
 * @property {View | null} view
 * @property {Sheet | null} sheet
 * @property {number} place  of the picture that the keys are at
 * @property {number} anchor  where a range begins
 * @property {ReadonlySet<string>} base  what was struck out before that range
 * @property {ReadonlySet<string>} struck
 * @property {readonly string[]} draft  the labels that the pictures are to get, where they may have several
 * @property {Message | null} message  what waits for its answer
 * @property {number} sentAt  when it was sent; 0: not yet
 * @property {readonly { about: string, sheet: string, struck: ReadonlySet<string> }[]} history
 * @property {State['history']} ahead  what this page took back, the last at its end, to be redone
 * @property {{ sheet: string, struck: ReadonlySet<string> } | null} back  what was struck out of the sheet that comes back
 * @property {{ text: string, warning: boolean }} told
 * @property {number} since  answers since the model was asked for its word; -1: it is to be asked
 *
 * @typedef {(
 *   { type: 'view', view: View } | { type: 'sent', at: number } | { type: 'tick', at: number } | { type: 'asked' } |
 *   { type: 'strike', place: number, extend?: boolean } | { type: 'move', step: number, extend?: boolean } |
 *   { type: 'clear' } | { type: 'take', label: string } | { type: 'name', label: string } |
 *   { type: 'undo' } | { type: 'redo' }
 * )} Event
 */

export const KEYS = 9; // classes with a key of their own
const ASK_AFTER = 5;
const GIVE_UP = 30000;

/** @returns {State} */
export const newState = (talk = newTalk()) => ({
  talk, view: null, sheet: null, place: 0, anchor: 0, base: new Set(), struck: new Set(), draft: [], message: null, sentAt: 0,
  history: [], ahead: [], back: null, told: { text: '', warning: false }, since: -1,
});

// --- what follows from it ----------------------------------------------------------------------------------------

/** The pictures that are named next. @param {State} state */
export const chosen = ({ sheet, struck }) => (sheet ? sheet.images.filter((one) => !struck.has(one.id)) : []);
/** What Enter names them, empty where that is not known. @param {State} state */
export const proposed = ({ sheet, view, draft }) => (view?.several ? [...draft].sort().join('|') : (sheet?.suggested ?? ''));
/** A label in words. @param {string} label */
export const said = (label) => label.split('|').join(', ');
/** @param {number} count */
export const pictures = (count) => count.toLocaleString('en') + (count === 1 ? ' picture' : ' pictures');
/** Whether the model is to be asked for its word now. @param {State} state */
export const wantsWord = ({ sheet, since, message }) => !message && (since < 0 || (sheet !== null && since >= ASK_AFTER));
/** What to ask now and then: did somebody else name something, were more pictures looked at? @param {State} state */
export const question = ({ view, sheet, message }) => {
  if (!view || message || (!sheet && !view.working)) return null;
  const { workspace, mark, working } = view;
  return { workspace, mark, working, of: sheet?.id ?? '', images: sheet ? sheet.images.map((one) => one.id) : [] };
};

// --- what the server shows ---------------------------------------------------------------------------------------

/** @param {State} state @param {Sheet | null} sheet @returns {State} */
const opened = (state, sheet) => {
  const struck = new Set(sheet && state.back?.sheet === sheet.id ? state.back.struck : []);
  const draft = state.view?.several && sheet?.suggested ? [sheet.suggested] : [];
  return { ...state, sheet, struck, base: struck, draft, place: 0, anchor: 0, back: null };
};
/** @param {State} before @param {View} view @returns {State} */
const received = (before, view) => {
  const same = before.view?.workspace === view.workspace;
  if (view.of && view.of !== before.sheet?.id) return before; // it was overtaken
  const talk = heard(before.talk, view.answer);
  const answered = before.message && isDone(talk, before.message.number) ? before.message : null;
  if (same && before.message && !answered) return before; // what waits will bring a newer one
  let state = { ...before, talk, message: same && !answered ? before.message : null };
  if (!same) state = { ...newState(talk), told: { text: '', warning: false } };
  if (view.told.words) state.told = { text: view.told.words, warning: view.told.warning };
  if (view.forget || !same) state = { ...state, history: [], ahead: [] };
  if (view.made) {
    const [sheet, struck] = answered ? [answered.sheet, new Set(answered.but)] : ['', new Set()];
    state.history = [...state.history, { about: view.made, sheet, struck }];
    state.ahead = answered?.kind === 'redo' ? state.ahead.slice(0, -1) : [];
    state.since = answered ? state.since + 1 : -1;
  } else if (answered?.kind === 'undo') state.since = -1;
  const stays = same && before.sheet && !answered && (view.keep || (view.sheet && !view.told.words && touched(before)));
  if (stays) return { ...state, view: { ...view, classes: before.view?.classes ?? [], mark: view.keep ? view.mark : (before.view?.mark ?? '') } };
  if (same && before.sheet && view.sheet?.id === before.sheet.id && !answered) return { ...state, view };
  return opened({ ...state, view }, view.sheet);
};
/** @param {State} state */
const touched = ({ struck, view, draft, sheet }) => struck.size > 0 || (view?.several && draft.join() !== (sheet?.suggested ?? ''));

// --- deciding ----------------------------------------------------------------------------------------------------

/** One picture more or less, or all from the anchor to it. @param {State} state @param {number} place @returns {State} */
const struckTo = (state, place, range = false) => {
  const { sheet, anchor, base } = state;
  const picture = sheet?.images[place];
  if (!sheet || !picture) return state;
  if (range) {
    const within = sheet.images.slice(Math.min(anchor, place), Math.max(anchor, place) + 1).map((one) => one.id);
    return { ...state, place, struck: new Set([...base, ...within]) };
  }
  const struck = new Set(state.struck);
  if (!struck.delete(picture.id)) struck.add(picture.id);
  return { ...state, struck, base: struck, place, anchor: place };
};
/** @param {State} state @param {number} step @returns {State} */
const moved = (state, step, extend = false) => {
  const place = state.place + step;
  if (!state.sheet?.images[place]) return state;
  return extend ? struckTo(state, place, true) : { ...state, place, anchor: place, base: state.struck };
};
/** @param {State} state @param {Partial<Message> & { kind: string }} what @returns {State} */
const sending = (state, what) => {
  if (!state.view || state.message) return state;
  const talk = numbered(state.talk);
  const { workspace } = state.view;
  const images = state.sheet ? state.sheet.images.map((one) => one.id) : [];
  const message = { ...stamp(talk), workspace, sheet: '', label: '', but: [], images, about: '', ...what };
  return { ...state, talk, message, sentAt: 0 };
};
/** @param {State} state @param {string} label @returns {State} */
const named = (state, label) => {
  if (!state.sheet || !label) return state;
  const but = state.sheet.images.map((one) => one.id).filter((id) => state.struck.has(id));
  return sending(state, { kind: 'name', sheet: state.sheet.id, label, but });
};
/** A class was pressed: it names the sheet, or is one label more or less. @param {State} state @param {string} label @returns {State} */
const taken = (state, label) => {
  if (!state.view?.several) return named(state, label);
  const { none } = state.view;
  const others = state.draft.filter((one) => one !== label);
  if (others.length < state.draft.length) return { ...state, draft: others };
  return { ...state, draft: label === none ? [none] : [...others.filter((one) => one !== none), label] };
};
/** @param {State} state @returns {State} */
const undone = (state) => {
  if (!state.view || state.message) return state;
  const last = state.history[state.history.length - 1];
  const next = sending(state, { kind: 'undo', about: last?.about ?? '' });
  return { ...next, history: state.history.slice(0, -1), ahead: last ? [...state.ahead, last] : [], back: last ?? null };
};
/** @param {State} state @returns {State} */
const redone = (state) => {
  const last = state.ahead[state.ahead.length - 1];
  return sending(state, last ? { kind: 'redo', about: last.about, sheet: last.sheet, but: [...last.struck] } : { kind: 'redo' });
};

/** @param {State} state @param {Event} event @returns {State} */
export const reduced = (state, event) => {
  switch (event.type) {
    case 'view':
      return received(state, event.view);
    case 'sent':
      return { ...state, sentAt: event.at };
    case 'tick':
      if (!state.message || !state.sentAt || event.at - state.sentAt < GIVE_UP) return state;
      return { ...state, message: null, sentAt: 0, told: { text: 'No answer came yet. Look again in a moment.', warning: true } };
    case 'asked':
      return { ...state, since: 0 };
    case 'strike':
      return struckTo(state, event.place, event.extend);
    case 'move':
      return moved(state, event.step, event.extend);
    case 'clear':
      return { ...state, struck: new Set(), base: new Set() };
    case 'take':
      return taken(state, event.label);
    case 'name':
      return named(state, event.label);
    case 'undo':
      return undone(state);
    case 'redo':
      return redone(state);
  }
};
