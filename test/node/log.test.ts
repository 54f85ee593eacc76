import { describe, expect, test } from 'vitest';
import { type NodeLogOptions, nodeLog } from '../../src/node/log.ts';

function lines(options: Omit<NodeLogOptions, 'destination'>) {
  const written: string[] = [];
  const log = nodeLog({ ...options, destination: { write: (line) => written.push(line) } });
  return { log, written };
}

describe('log', () => {
  test('json is one object a line, with the fields of its parents', () => {
    const { log, written } = lines({ format: 'json', level: 'info' });
    log.child({ domid: 3 }).warn('quota reached', { quota: 'nodes', limit: 1000 });
    expect(written).toHaveLength(1);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({
      msg: 'quota reached',
      domid: 3,
      quota: 'nodes',
      limit: 1000,
    });
  });

  test('text is one line for people, there as soon as it was said', () => {
    const { log, written } = lines({ format: 'text', level: 'info' });
    log.error('ring broken', { domid: 7 });
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/ERROR: ring broken \{"domid":7\}\n$/);
    expect(written[0]).not.toContain('hostname');
  });

  test('says nothing below its level', () => {
    const { log, written } = lines({ format: 'json', level: 'warn' });
    log.debug('no');
    log.info('no');
    log.warn('yes');
    log.error('yes');
    expect(written).toHaveLength(2);
  });
});
