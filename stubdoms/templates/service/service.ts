/**
 * A service for another domain: what a client sends over a vchan comes back in capitals. It is given
 * all that it works with, so that a test can give it a simulated host's.
 */
import {
  type ByteStream,
  type DomId,
  domId,
  latin1Decode,
  latin1Encode,
  type StubDomain,
  VchanServer,
  vchanPath,
} from 'paravane';

/** Who may connect: `client=3` on the domain's command line; dom0 unless given. */
function clientOf(commandLine: string): DomId {
  const [, client = '0'] = /(?:^| )client=(\d+)/.exec(commandLine) ?? [];
  return domId(Number(client));
}

/** Takes what has come and what fits, until the stream has no more; it says when to go on. */
function answer(stream: ByteStream): void {
  const input = new Uint8Array(4096);
  let output: Uint8Array = new Uint8Array(0);
  const goOn = () => {
    for (;;) {
      output = output.subarray(stream.write(output));
      if (output.length > 0) return;
      const length = stream.read(input);
      if (length === 0) break;
      const text = latin1Decode(input, 0, length);
      output = latin1Encode(text.replace(/[a-z]+/g, (word) => word.toUpperCase()));
    }
    if (stream.ended) stream.close();
  };
  stream.onReady(goOn);
  goOn();
}

/** Resolves once clients may come: `paravane vchan connect DOMAIN service -` in dom0 is one. */
export function startService(domain: StubDomain): Promise<{ close(): Promise<void> }> {
  const client = clientOf(domain.commandLine);
  const path = vchanPath(domain.hypervisor.domid, client, 'service');
  return VchanServer.listen(domain, { client, path, log: domain.log }, answer);
}
