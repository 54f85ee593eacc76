import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runProgram } from '../../src/dom0/program.ts';
import { type TraceFilter, TraceSelection } from '../../src/dom0/trace-command.ts';
import { type Host, startHost } from './host.ts';

let host: Host;
beforeEach(async () => {
  host = await startHost();
});
afterEach(() => host.stop());

const ok = (out = '') => ({ code: 0, out, error: '' });

describe('values', () => {
  test('come back as they were typed', async () => {
    expect(await host.paravane(['write', '/a/b', 'hello'])).toEqual(ok());
    expect(await host.paravane(['read', '/a/b'])).toEqual(ok('hello\n'));
    expect(await host.paravane(['read', '-p', '/a/b', '/a'])).toEqual(ok('/a/b: hello\n/a: \n'));
  });

  test('may hold any byte, and may begin with a dash', async () => {
    expect(await host.paravane(['write', '/a', '\\000\\x7f\\t\\\\"é', '/b', '-1'])).toEqual(ok());
    expect(await host.paravane(['read', '/a', '/b'])).toEqual(
      ok('\\000\\x7f\\t\\\\"\\xc3\\xa9\n-1\n'),
    );
    expect(await host.paravane(['read', '--raw', '/a'])).toEqual(ok('\0\x7f\t\\"\xc3\xa9'));
    expect(await host.paravane(['write', '--raw', '/a', '\\t'])).toEqual(ok());
    expect(await host.paravane(['read', '/a'])).toEqual(ok('\\\\t\n'));
  });

  test('are written all or none', async () => {
    const long = 'x'.repeat(5000);
    const outcome = await host.paravane(['write', '/a', '1', '/b', long]);
    expect(outcome.code).toBe(1);
    expect(outcome.error).toMatch(/^paravane: xenstore WRITE \/b: .*4096.*\(E2BIG\)\n$/);
    expect((await host.paravane(['exists', '/a'])).code).toBe(1);
  });
});

describe('nodes', () => {
  test('are made, listed, found and removed', async () => {
    expect(await host.paravane(['mkdir', '/a/b', '/a/c'])).toEqual(ok());
    expect(await host.paravane(['list', '/a'])).toEqual(ok('b\nc\n'));
    expect(await host.paravane(['list', '-p', '/a'])).toEqual(ok('/a/b\n/a/c\n'));
    expect(await host.paravane(['exists', '/a', '/a/b'])).toEqual(ok());
    expect(await host.paravane(['exists', '/a', '/a/x'])).toEqual({ code: 1, out: '', error: '' });
    expect(await host.paravane(['rm', '/a/b', '/a/c'])).toEqual(ok());
    expect(await host.paravane(['list', '/a'])).toEqual(ok());
  });

  test('above are removed by rm --tidy while they are empty', async () => {
    await host.paravane(['write', '/keep/a/b/c', '1', '/keep/other', '1']);
    expect(await host.paravane(['rm', '--tidy', '/keep/a/b/c'])).toEqual(ok());
    expect(await host.paravane(['list', '/keep'])).toEqual(ok('other\n'));
  });

  test('that are missing are an error of one line', async () => {
    const outcome = await host.paravane(['read', '/missing']);
    expect(outcome).toEqual({
      code: 1,
      out: '',
      error: 'paravane: xenstore READ /missing: no such node, domain or transaction (ENOENT)\n',
    });
  });

  test('more than one reply holds are listed all', async () => {
    const pairs = Array.from({ length: 300 }, (_, i) => [`/big/${'n'.repeat(40)}-${i}`, '']).flat();
    expect((await host.paravane(['write', ...pairs])).code).toBe(0);
    const { out } = await host.paravane(['list', '/big']);
    expect(out.split('\n')).toHaveLength(301);
  });
});

describe('permissions', () => {
  const permissionsOf = async (name: string) => {
    const { out } = await host.paravane(['ls', '-f', '-p', '/']);
    return out
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')
      .at(-1);
  };

  test('are set on one node, on all below or on all above', async () => {
    await host.paravane(['mkdir', '/p/q/r']);
    expect(await host.paravane(['chmod', '/p/q', 'n0', 'r1', 'w2'])).toEqual(ok());
    expect(await permissionsOf('/p/q')).toBe('(n0,r1,w2)');
    expect(await permissionsOf('/p/q/r')).toBe('(n0)');
    expect(await host.paravane(['chmod', '-r', '/p/q', 'b0'])).toEqual(ok());
    expect(await permissionsOf('/p/q/r')).toBe('(b0)');
    expect(await permissionsOf('/p')).toBe('(n0)');
    expect(await host.paravane(['chmod', '--upto', '/p/q', 'r0'])).toEqual(ok());
    expect(await permissionsOf('/p')).toBe('(r0)');
  });

  test('that make no sense are refused before anything is sent', async () => {
    const outcome = await host.paravane(['chmod', '/p', 'x5']);
    expect(outcome.code).toBe(2);
    expect(outcome.error).toContain('letters n r w b and a domid');
  });
});

describe('watch', () => {
  test('prints the path of each change and ends after as many as were asked for', async () => {
    const watching = host.paravane(['watch', '-n', '3', '/w', '@releaseDomain'], (line) => {
      if (line === '@releaseDomain\n') void host.paravane(['write', '/w/x', '1']);
    });
    const { code, out } = await watching;
    expect(code).toBe(0);
    expect(out.split('\n').sort()).toEqual(['', '/w', '/w/x', '@releaseDomain']);
  });

  test('goes on with the next xenstored, and says so', async () => {
    const restarted: Promise<void>[] = [];
    const outcome = await host.paravane(['watch', '-n', '2', '/w'], () => {
      if (restarted.length === 0) restarted.push(host.restart());
    });
    await Promise.all(restarted);
    expect(outcome.code).toBe(0);
    expect(outcome.out).toBe('/w\n/w\n');
    expect(outcome.error).toMatch(/^paravane: xenstored is gone.*\nparavane: xenstored is back\n$/);
  });
});

describe('trace', () => {
  test('prints what is asked at or below a path, and the replies to that', async () => {
    let tracing = true;
    const trace = host.paravane(['trace', '-n', '2', '--path', '/w']);
    const outcome = trace.finally(() => {
      tracing = false;
    });
    while (tracing) {
      await host.paravane(['write', '/other', '1']);
      await host.paravane(['write', '/w/x', '1']);
    }
    const { code, out } = await outcome;
    expect(code).toBe(0);
    expect(out.split('\n').map((line) => line.replace(/^(IN|OUT) .*Z /, '$1 '))).toEqual([
      'IN WRITE (/w/x 1)',
      'OUT WRITE (OK )',
      '',
    ]);
  });

  test('selects the lines of one domain, whose relative paths stand in its home', () => {
    const line = (text: string) => text.replace('*', '2026-01-01T00:00:00.000Z');
    const lines = [
      'IN domain 3 * READ (device/vbd/1/state )',
      'OUT domain 3 * READ (4)',
      'IN domain 3 * READ (name )',
      'OUT domain 3 * READ (guest)',
      'OUT domain 3 * WATCH_EVENT (device/vbd token )',
      'OUT domain 3 * WATCH_EVENT (name token )',
      'IN domain 31 * READ (/local/domain/3/device )',
      'IN socket * READ (device )',
    ].map(line);
    const chosen = (filter: TraceFilter) => {
      const selection = new TraceSelection(filter);
      return lines.flatMap((text, index) => (selection.wants(text) ? [index] : []));
    };
    expect(chosen({})).toHaveLength(lines.length);
    expect(chosen({ domid: 3 })).toEqual([0, 1, 2, 3, 4, 5]);
    expect(chosen({ path: '/local/domain/3/device' })).toEqual([0, 1, 4, 6]);
    expect(chosen({ domid: 3, path: '/local/domain/3/device/vbd' })).toEqual([0, 1, 4]);
  });
});

describe('the command line', () => {
  test.each([
    [['read'], "missing required argument 'path'"],
    [['read', '//'], 'no empty component'],
    [['read', '/a b'], 'a path is made of'],
    [['write', '/a'], "missing required argument 'value'"],
    [['write', '/a', '1', '/b'], "no value for '/b'"],
    [['write', 'a/', '1'], 'does not end in "/"'],
    [['watch', '-n', '0', '/a'], 'a whole number'],
    [['ls', '--colour'], "unknown option '--colour'"],
  ])('%j is a mistake of usage', async (args, message) => {
    const outcome = await host.paravane(args);
    expect(outcome.code).toBe(2);
    expect(outcome.out).toBe('');
    expect(outcome.error).toMatch(/^paravane: /);
    expect(outcome.error).toContain(message);
  });

  const run = async (...args: string[]) => {
    let out = '';
    let error = '';
    const terminal = {
      width: 80,
      out: (text: string) => {
        out += text;
      },
      error: (text: string) => {
        error += text;
      },
    };
    return { code: await runProgram(args, [], terminal), out, error };
  };

  test('help names every command and goes to stdout', async () => {
    const { code, out, error } = await run('--help');
    expect(code).toBe(0);
    expect(error).toBe('');
    for (const name of 'ls list read write mkdir rm exists chmod watch trace run'.split(' ')) {
      expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });

  test('without a command the help goes to stderr', async () => {
    const { code, out, error } = await run();
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(error).toContain('Usage: paravane');
  });

  test('a mistyped command is guessed', async () => {
    const { code, error } = await run('reed', '/a');
    expect(code).toBe(2);
    expect(error).toContain('Did you mean read?');
  });

  test('no xenstored is an error that says where it was looked for', async () => {
    const { code, error } = await run('ls', '--socket', '/nonexistent/socket');
    expect(code).toBe(1);
    expect(error).toMatch(/^paravane: .*\/nonexistent\/socket.*does a xenstored run.*\n$/);
  });
});
