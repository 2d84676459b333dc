// The cleaning queue on the page: what happens becomes an event of its state (queue_state.js), the state is drawn, and
// what it has to say goes to the server. While nothing is under way the page asks now and then whether somebody else has
// decided something.
import { make } from '../../../pipeline/tabs/page/common.js';
import { button, classes, drawClasses, drawDesk, facts, form, hint, stage, strip } from './desk.js';
import { drawGrid, layout, tiles } from './grid.js';
import { help, helpButton, historyButton, storyButton } from './keys.js';
import { pictures, progress, question, request, shown } from './queue_state.js';
import { connect, dispatch, now, takeUp } from './store.js';

/** @typedef {import('./queue_state.js').State} State */
/** @typedef {import('./queue_state.js').View} View */

const ASK_EVERY = 6000;
const root = element.querySelector('.queue');

const bar = make('div', 'bar');
const counter = make('span', 'counter');
const pace = make('span', 'quiet pace');
const meter = make('div', 'meter');
const filled = make('div');
const outlook = make('p', 'outlook');
const message = make('p', 'message');
const empty = make('p', 'empty');
const desk = make('div', 'desk');
const undoButton = button('Undo', 'U', 'undo', () => dispatch({ type: 'undo' }));
const redoButton = button('Redo', 'Shift+U', 'redo', () => dispatch({ type: 'redo' }));
const modeButton = button('Many at once', 'G', 'mode', () => dispatch({ type: 'mode', many: !now().many }));
const confirmButton = button('Confirm', 'Enter', 'confirm', () => dispatch({ type: 'confirm' }));

const build = () => {
  meter.append(filled);
  bar.append(counter, pace, meter, modeButton, historyButton, undoButton, redoButton, helpButton);
  message.setAttribute('role', 'status');
  tiles.setAttribute('aria-label', 'Pictures to select');
  const acts = make('div', 'acts');
  acts.append(
    button('Keep', 'K', 'keep', () => dispatch({ type: 'keep' })),
    button('Remove', 'D', 'remove', () => dispatch({ type: 'remove' })),
    button('Back', '←', 'back', () => dispatch({ type: 'move', step: -1 })),
    button('Skip', '→', 'next', () => dispatch({ type: 'move', step: 1 })),
    button('As suggested', 'S', 'suggested', () => dispatch({ type: 'suggested' })),
    storyButton,
    confirmButton,
  );
  const side = make('div', 'side');
  side.append(facts, acts, classes, form, hint);
  stage.addEventListener('click', () => storyButton.click());
  desk.append(stage, tiles, side);
  root.append(bar, outlook, message, empty, desk, strip, help);
};

// --- drawing -----------------------------------------------------------------------------------------------------

/** @param {HTMLElement} node @param {unknown} yes */
const display = (node, yes) => {
  node.style.display = yes ? '' : 'none';
};
/** @param {number} left @param {number} aMinute */
const minutes = (left, aMinute) => {
  const need = Math.ceil(left / aMinute);
  return need < 120 ? need + ' min' : Math.round(need / 60) + ' h';
};
/** @param {State} state @param {View} view */
const drawProgress = (state, view) => {
  const { done, left } = progress(state);
  counter.textContent = view.run ? done + ' done, ' + left + ' left' + (view.filter ? ', ' + view.filter : '') : '';
  const speed = view.pace && view.pace.toFixed(view.pace < 10 ? 1 : 0) + ' a minute; all of it: ' + minutes(left, view.pace);
  pace.textContent = speed || '';
  filled.style.width = (done + left ? (100 * done) / (done + left) : 0) + '%';
  outlook.textContent = view.outlook || '';
  outlook.classList.toggle('stop', view.stop);
  root.dataset.done = String(done);
};
/** @param {State} state */
const drawMessage = ({ selected, many, told }) => {
  const chosen = selected.size ? pictures(selected.size) + ' selected: K, D, S or a class is for all of them; Esc for none.' : '';
  message.textContent = !many && chosen ? chosen : told ? told.text : '';
  message.classList.toggle('warning', Boolean(told && told.warning && message.textContent === told.text));
};
const draw = () => {
  const state = now();
  const { view, many } = state;
  if (!view) return;
  const row = shown(state);
  drawProgress(state, view);
  drawMessage(state);
  root.dataset.unsaved = String(state.waiting.length);
  root.dataset.id = row ? row.id : '';
  root.dataset.selected = String(state.selected.size);
  root.classList.toggle('many', many);
  const [words] = modeButton.children;
  words.textContent = many ? 'One at a time' : 'Many at once';
  display(bar, view.run);
  display(desk, row);
  display(strip, row && !many);
  display(stage, !many);
  display(tiles, many);
  display(empty, !row);
  display(confirmButton, view.several && !many);
  empty.textContent = row ? '' : view.empty || 'Nothing is left in this queue.';
  if (!row) return;
  if (many) drawGrid(now()); // the grid is laid out only now
  else drawDesk(state, row);
  drawClasses();
};
/** Bring the picture that comes next into view. @param {State} state */
const come = ({ many }) => {
  const box = stage.getBoundingClientRect();
  if (!many && box.height && (box.top < 0 || box.bottom > window.innerHeight)) root.scrollIntoView({ block: 'start' });
};

// --- what happens ------------------------------------------------------------------------------------------------

const send = () => {
  const said = request(now());
  if (!said) return;
  dispatch({ type: 'sent', at: Date.now() });
  trigger('act', said);
};
connect(layout, (before, event) => {
  if (event.type === 'sent') return;
  draw();
  const state = now();
  const decided = state.history.length > before.history.length;
  if (decided || (event.type === 'move' && state.current !== before.current)) come(state);
  send();
});
const watchdog = setInterval(() => {
  if (!element.isConnected) return clearInterval(watchdog);
  if (now().sentAt) dispatch({ type: 'tick', at: Date.now() });
}, 1000);
const asking = setInterval(() => {
  if (!element.isConnected) return clearInterval(asking);
  const asked = question(now());
  if (asked && element.offsetParent !== null && document.visibilityState === 'visible') trigger('look', asked);
}, ASK_EVERY);
window.addEventListener('beforeunload', (event) => {
  if (element.isConnected && now().waiting.length) event.preventDefault();
});
const receive = () => {
  if (props.value) dispatch({ type: 'view', view: props.value });
};

build();
takeUp();
watch('value', receive);
receive();
