import { expect, test } from 'vitest';
import { crashText } from '../../src/xenbus/crash-report.ts';

test('an error is reported with its message and its stack', () => {
  const text = crashText(new Error('no disk'));
  expect(text).toMatch(/^no disk\n/);
  expect(text).toContain('crash-report.test.ts');
});

test('what is no error is reported as it is', () => {
  expect(crashText('no disk')).toBe('no disk');
});

test('a report is printable ASCII and fits into a node', () => {
  const text = crashText(new Error(`\u0000\u00e9${'x'.repeat(10_000)}`));
  expect(text).toMatch(/^[\n -~]+$/);
  expect(text.length).toBe(2000);
});
