import { describe, expect, test } from 'vitest';
import { XS_CONTROL, XS_WRITE } from '../../src/abi/io/xs_wire.ts';
import { SimXenstored } from './sim-xenstored.ts';

describe('control trace', () => {
  async function begin() {
    const sim = new SimXenstored();
    const tools = sim.socket();
    let next = '';
    const ask = async () => {
      const reply = await sim.reply(tools, XS_CONTROL, next === '' ? 'trace|' : `trace|${next}|`);
      const [head = '', ...lines] = (reply ?? '').slice(0, -1).split('\n');
      const [, number = '', lost] = /^trace (\d+) (\d+)$/.exec(head) ?? [];
      next = number;
      return { lost: Number(lost), lines: lines.slice(0, -1) };
    };
    return { sim, ask, writer: sim.socket() };
  }

  test('answers with what came since it was asked last, itself left out', async () => {
    const { sim, ask, writer } = await begin();
    await sim.ask(writer, XS_WRITE, '/before|1');
    expect(await ask()).toEqual({ lost: 0, lines: [] });
    await sim.ask(writer, XS_WRITE, '/a|1');
    const { lines } = await ask();
    expect(lines.map((line) => line.replace(/ [^ ]*Z /, ' '))).toEqual([
      'IN socket 2 WRITE (/a 1)',
      'OUT socket 2 WRITE (OK )',
    ]);
    expect(await ask()).toEqual({ lost: 0, lines: [] });
    await sim.finish();
  });

  test('answers with as much as fits, in order, and says how many lines were lost', async () => {
    const { sim, ask, writer } = await begin();
    await ask();
    for (let i = 0; i < 5000; i++) writer.write(`/n/${i}`, '');
    await sim.settle();
    const seen: string[] = [];
    let lost = 0;
    for (let part = await ask(); part.lines.length > 0; part = await ask()) {
      lost += part.lost;
      seen.push(...part.lines.filter((line) => line.startsWith('IN')));
    }
    expect(lost).toBe(10_000 - 8192);
    expect(seen).toHaveLength(8192 / 2);
    expect(seen[seen.length - 1]).toContain('(/n/4999 )');
    await sim.finish();
  });

  test('keeps nothing for whoever asks no more', async () => {
    const { sim, ask, writer } = await begin();
    await ask();
    await sim.world.run({ for_ms: 20_000 });
    await sim.ask(writer, XS_WRITE, '/a|1');
    expect(await ask()).toEqual({ lost: 0, lines: [] });
    await sim.finish();
  });

  test('refuses what is no number', async () => {
    const { sim } = await begin();
    expect(await sim.reply(sim.socket(), XS_CONTROL, 'trace|x|')).toBe('!EINVAL');
    await sim.finish();
  });
});
