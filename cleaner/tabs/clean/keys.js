// Keys, the help, and the start.
const help = make('dialog');
const helpButton = button('?', '', 'help', () => {
  drawHelp();
  help.showModal();
});
const historyButton = button('History', 'H', 'history', () => trigger('history', { page: 0 }));
const storyButton = button('Story', 'I', 'story', () => current && trigger('open', { id: current }));
const KEYS = [
  ['K', 'keep: the label is right'], ['D', 'take the image out'], ['S', 'take the suggested label'],
  ['1 … 9, 0, letters', 'give it that class; with more classes than keys, the likeliest ten have the digits'],
  ['N or /', 'type another or a new class: Enter takes the first that begins so, Shift+Enter a new one'],
  ['U', 'undo what was decided last, all of it if it was many'], ['← →', 'look back and forth without deciding'],
  ['Shift + ← →', 'select a range; then K, D, S or a class is for all of it'], ['G', 'many at once, or one at a time'],
  ['A, Esc', 'many at once: select all, or none; arrows and Space select, Shift selects a range, as Shift and click does'],
  ['I', 'the whole story of the picture, and where the network looked'],
  ['H', 'history: everything decided so far, to take back'], ['?', 'this help'],
];
const SEVERAL_KEYS = [['1 … 9, 0, letters', 'add the label, or take it off again'], ['Enter', 'the labels are right like this']];

const build = () => {
  meter.append(filled);
  helpButton.classList.add('help-button');
  helpButton.setAttribute('aria-label', 'Help');
  bar.append(counter, pace, meter, modeButton, historyButton, undoButton, helpButton);
  message.setAttribute('role', 'status');
  tiles.setAttribute('aria-label', 'Pictures to select');
  acts.append(
    button('Keep', 'K', 'keep', () => decide('keep')),
    button('Remove', 'D', 'remove', () => decide('remove')),
    button('Back', '←', 'back', () => move(-1)),
    button('Skip', '→', 'next', () => move(1)),
    button('As suggested', 'S', 'suggested', suggest),
    storyButton,
    confirmButton,
  );
  field.placeholder = 'Find a class, or name a new one';
  field.setAttribute('aria-label', 'Other or new class');
  field.maxLength = 100;
  field.autocomplete = 'off';
  const submit = button('Relabel', '', 'relabel', () => {});
  submit.type = 'submit';
  form.append(field, submit);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text) take(meant(text));
  });
  field.addEventListener('input', drawClasses);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !event.shiftKey) return;
    event.preventDefault();
    if (field.value.trim()) take(field.value.trim());
  });
  const side = make('div', 'side');
  side.append(facts, acts, classes, form, hint);
  stage.addEventListener('click', () => storyButton.click());
  desk.append(stage, tiles, side);
  root.append(bar, outlook, message, empty, desk, strip, help);
};
const drawHelp = () => {
  const list = make('dl');
  const named = (rows) => rows.forEach(([key, words]) => {
    const term = make('dt');
    term.append(make('kbd', '', key));
    list.append(term, make('dd', '', words));
  });
  named(view && view.several ? [...SEVERAL_KEYS, ...KEYS.filter(([key]) => key[0] !== '1')] : KEYS);
  const close = button('Close', 'Esc', 'close', () => help.close());
  help.replaceChildren(list, make('p', 'quiet', 'Every decision is saved at once and can be undone.'), close);
};

const busy = (target) =>
  Boolean(target.closest?.('input, textarea, select, [contenteditable="true"], [role="combobox"], [role="listbox"]'));
const arrow = (event, key) => {
  const step = { arrowleft: -1, arrowright: 1, arrowup: many ? -columns() : 0, arrowdown: many ? columns() : 0 }[key];
  return step ? () => move(step, event.shiftKey) : null;
};
const command = (event, key) => {
  const button = event.target.closest?.('button');
  // The tab that was clicked to come here has the focus, and a class may; other buttons keep their Enter and Space.
  const onButton = button && button.getAttribute('role') !== 'tab' && !(view.several && classes.contains(button));
  const typing = () => {
    field.focus();
    field.select();
  };
  const acts = {
    k: () => decide('keep'), d: () => decide('remove'), u: undo, s: suggest, n: typing, '/': typing,
    g: () => setMany(!many), h: () => historyButton.click(), i: () => storyButton.click(), '?': () => helpButton.click(),
    a: many ? everything : null, escape: selected.size ? nothing : null,
    ' ': many && current && !onButton ? () => (select(current), draw()) : null,
    enter: view.several && !many && !onButton ? confirm : null,
  };
  if (acts[key]) return acts[key];
  const names = keyed();
  const place = names.findIndex((_, index) => keyOf(index).toLowerCase() === key);
  return place >= 0 ? () => relabel(names[place]) : null;
};
const keys = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', keys);
  if (!view || element.offsetParent === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === field && event.key === 'Escape') {
    field.value = '';
    drawClasses();
    return field.blur();
  }
  if (help.open || document.querySelector('dialog[open]') || busy(event.target)) return;
  const key = event.key.toLowerCase();
  const act = key.startsWith('arrow') ? arrow(event, key) : command(event, key);
  if (!act) return;
  event.preventDefault();
  if (event.repeat && !key.startsWith('arrow')) return;
  act();
};
document.addEventListener('keydown', keys);
window.addEventListener('beforeunload', (event) => {
  if (element.isConnected && waiting.length) event.preventDefault();
});

build();
JSON.parse(sessionStorage.getItem(UNSAVED) || '[]').forEach(queueUp);
if (waiting.length) tell('Sent now: ' + waiting.length + ' decided before the page was reloaded.');
watch('value', receive);
receive();
