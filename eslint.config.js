// How the page's scripts are linted; `make check` runs it.
import js from '@eslint/js';
import globals from 'globals';

const AS_HTML = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'setHTMLUnsafe', 'write', 'writeln'];

const GIVEN = ['element', 'props', 'trigger', 'upload', 'watch'];

export default [
  { ignores: ['node_modules/', '.venv/', 'workspaces/'] },
  js.configs.recommended,
  {
    rules: {
      'no-var': 'error',
      'prefer-const': 'error',
      eqeqeq: 'error',
      'no-implied-eval': 'error',
      // Foreign text reaches the page by textContent and attributes, never as HTML.
      'no-restricted-properties': ['error', ...AS_HTML.map((property) => ({ property }))],
    },
  },
  {
    files: ['pipeline/tabs/**/*.js', 'cleaner/tabs/**/*.js'],
    // What a component's script finds beside the browser: see pipeline/tabs/page/globals.d.ts.
    languageOptions: { globals: { ...globals.browser, ...Object.fromEntries(GIVEN.map((name) => [name, 'readonly'])) } },
  },
  { files: ['spaces/static/*.js'], languageOptions: { globals: { ...globals.browser, ort: 'readonly' } } },
  { files: ['tests/**/*.js'], languageOptions: { globals: globals.node } },
  // The state of the queue, and of a sheet, is a value: nothing of the page is known there.
  {
    files: ['cleaner/tabs/clean/{queue_state,class_keys}.js', 'pipeline/tabs/label/sheet_state.js'],
    languageOptions: { globals: Object.fromEntries([...Object.keys(globals.browser), ...GIVEN].map((name) => [name, 'off'])) },
  },
];
