/** `paravane run netback`. */
import { InvalidArgumentError, type OptionValues } from 'commander';
import { errorMessage, XenError } from '../base/errors.ts';
import { NET_FEATURES } from '../net/features.ts';
import { parseIpv4Range } from '../net/ipv4-range.ts';
import { featureNames } from './feature-names.ts';
import { CAPTURE_SOCKET } from './net-socket.ts';
import { wholeNumber } from './option-values.ts';
import type { Service } from './run-command.ts';
import { collect } from './store-command.ts';

function addressRange(argument: string): string {
  try {
    parseIpv4Range(argument);
  } catch (error) {
    throw new InvalidArgumentError(`${errorMessage(error)}.`);
  }
  return argument;
}

/** What the options ask of the switch; `undefined` where there is to be none. */
function switchSettings(options: OptionValues) {
  const { dhcp, tap: taps = [], uplink: uplinks = [], filter } = options;
  if (options.switch === true) return { dhcp, taps, uplinks, filter };
  if (dhcp !== undefined || taps.length > 0 || uplinks.length > 0) {
    const rule = '--dhcp, --tap and --uplink are for the network of --switch';
    throw new XenError('EINVAL', 'run netback', rule);
  }
  return undefined;
}

export const netbackService: Service = {
  name: 'netback',
  summary: 'serve network interfaces to guests, by TAP devices or a switch of its own',

  addOptions(command) {
    command
      .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
      .option('--type <name>', 'the devices to serve, by their directory below backend/', 'vif')
      .option(
        '--without <features>',
        `what guests are not offered, and no --uplink uses, by commas: ${NET_FEATURES.join(', ')}`,
        featureNames(NET_FEATURES),
        [],
      )
      .option(
        '--driver-domain',
        "serve from a domain that is not the toolstack's: no hotplug scripts, and tidy up after devices",
      )
      .option('--switch', 'one switch in this process for all guests, instead of TAP devices')
      .option('--dhcp <range>', 'with --switch: give addresses to guests', addressRange)
      .option(
        '--tap <name>',
        'with --switch: a TAP device that leads to this domain',
        collect(String),
      )
      .option(
        '--uplink <number>',
        "with --switch: this domain's own interface that leads to another domain",
        collect(wholeNumber(0)),
      )
      .option('--no-filter', 'with --switch: guests may use addresses that are not their own')
      .option('--capture-socket <file>', 'where `paravane net capture` connects to', CAPTURE_SOCKET)
      .addHelpText(
        'after',
        `
Without --switch, each interface is a TAP device vif<domid>.<number>, as Linux's own back end calls it: the
scripts that come with Xen put it into a bridge, and so does the one of this package:
  vif = [ 'mac=00:16:3e:00:00:01,bridge=xenbr0' ]
  vif = [ 'mac=00:16:3e:00:00:01,bridge=xenbr0,script=/path/to/scripts/hotplug/paravane-vif' ]
With --switch there is no device that a script could find, so it has to be that of this package. The
network's name may then say of which VLAN the guest is, NAME.10, or which ones it has with tags, NAME:20:30:
  vif = [ 'mac=00:16:3e:00:00:01,ip=10.0.0.5,bridge=lan.10,script=/path/to/scripts/hotplug/paravane-vif' ]
`,
      );
  },

  async start(options, log) {
    const settings = switchSettings(options);
    const { openNetback } = await import('../../stubdoms/netback/dom0.ts');
    const { type, without, driverDomain = false, socket, captureSocket } = options;
    return openNetback(
      {
        type,
        without,
        driverDomain,
        switch: settings,
        captureSocket,
        xenstoreSocket: socket,
      },
      log,
    );
  },
};
