/** XenbusState as it stands in xenstore: a decimal number that a peer may have written badly. */
import {
  type XenbusState,
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateReconfigured,
  XenbusStateReconfiguring,
  XenbusStateUnknown,
} from '../abi/io/xenbus.ts';

const NAMES: Readonly<Record<XenbusState, string>> = {
  [XenbusStateUnknown]: 'Unknown',
  [XenbusStateInitialising]: 'Initialising',
  [XenbusStateInitWait]: 'InitWait',
  [XenbusStateInitialised]: 'Initialised',
  [XenbusStateConnected]: 'Connected',
  [XenbusStateClosing]: 'Closing',
  [XenbusStateClosed]: 'Closed',
  [XenbusStateReconfiguring]: 'Reconfiguring',
  [XenbusStateReconfigured]: 'Reconfigured',
};

/** The state in xenbus.h's words. */
export function xenbusStateName(state: XenbusState): string {
  return NAMES[state];
}

/** A `state` node's value. No node, and a value that is no state, are both `XenbusStateUnknown`. */
export function parseXenbusState(value: string | undefined): XenbusState {
  return value !== undefined && /^[1-8]$/.test(value)
    ? (Number(value) as XenbusState)
    : XenbusStateUnknown;
}
