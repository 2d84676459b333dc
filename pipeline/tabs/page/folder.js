// A folder, sent file by file with its folders' names. Every file is sent: what it means is for the server to say.
import { make } from './common.js';

const root = element.querySelector('.folder');
const AT_ONCE = 4;
const ALL = 'Every file in it is sent; browsers leave out links and empty folders.';
let run = 0;

const picker = make('input');
picker.type = 'file';
picker.multiple = true;
picker.setAttribute('webkitdirectory', '');
picker.hidden = true;
picker.setAttribute('aria-hidden', 'true');
const choose = make('button', 'act', 'Choose a folder');
const stop = make('button', 'act', 'Stop');
const forget = make('button', 'act', 'Forget it');
const bar = make('progress');
const words = make('span', 'told quiet');
words.setAttribute('role', 'status');
root.append(choose, stop, picker, bar, words, forget);

/** @param {boolean} is */
const working = (is) => {
  choose.hidden = is;
  stop.hidden = !is;
  bar.hidden = !is;
  forget.hidden = is || !props.value;
};
const show = () => {
  words.textContent = props.value || ALL;
  working(false);
};
/** @param {File[]} files @param {number} mine @returns {Promise<[[string, string][], number]>} */
const send = async (files, mine) => {
  const waiting = files.slice();
  /** @type {[string, string][]} */
  const here = [];
  let lost = 0;
  const hand = async () => {
    for (let file = waiting.shift(); file && mine === run; file = waiting.shift()) {
      try {
        const { path } = await upload(file);
        here.push([path, file.webkitRelativePath || file.name]);
      } catch {
        lost += 1;
      }
      if (mine !== run) return;
      bar.value = here.length + lost;
      words.textContent = 'Sending ' + (here.length + lost) + ' of ' + files.length;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, hand));
  return [here, lost];
};
picker.addEventListener('change', async () => {
  const files = [...(picker.files ?? [])];
  picker.value = '';
  if (!files.length) {
    words.textContent = 'This folder is empty.';
    return;
  }
  if (files.length > props.most) {
    const [is, may] = [files.length, props.most].map((number) => number.toLocaleString('en'));
    words.textContent = `This folder holds ${is} files. Send at most ${may} at a time, or put them into a zip.`;
    return;
  }
  run += 1;
  const mine = run;
  working(true);
  bar.max = files.length;
  bar.value = 0;
  const [here, lost] = await send(files, mine);
  if (mine !== run) return;
  words.textContent = 'Putting them in order …';
  trigger('sent', { files: here, lost });
});
choose.addEventListener('click', () => picker.click());
stop.addEventListener('click', () => {
  run += 1;
  working(false);
  words.textContent = 'Stopped. Nothing was taken.';
});
forget.addEventListener('click', () => trigger('forget', {}));
watch('value', show);
show();
