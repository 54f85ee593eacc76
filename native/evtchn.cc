// /dev/xen/evtchn, as xen/sys/evtchn.h describes it.
#include "addon.h"
#include "guard.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

extern "C" {
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
}

namespace paravane {

namespace {

// The driver's own ring holds a page of ports.
constexpr size_t kPortsMax = kPageSize / sizeof(uint32_t);

class Evtchn : public Napi::ObjectWrap<Evtchn> {
 public:
  explicit Evtchn(const Napi::CallbackInfo &info)
      : Napi::ObjectWrap<Evtchn>(info),
        device_(openDevice(info.Env(), "/dev/xen/evtchn", O_NONBLOCK)) {
    setOwnMethod(Value(), "notify", [device = device_](const Napi::CallbackInfo &call) {
      notify(call, device.fd(call.Env()));
    });
    setOwnMethod(Value(), "read", [device = device_](const Napi::CallbackInfo &call) {
      return read(call, device.fd(call.Env()));
    });
    setOwnMethod(Value(), "unmask", [device = device_](const Napi::CallbackInfo &call) {
      unmask(call, device.fd(call.Env()));
    });
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Evtchn",
                       {InstanceAccessor<&Evtchn::fd>("fd"),
                        InstanceMethod<&Evtchn::bindUnboundPort>("bindUnboundPort"),
                        InstanceMethod<&Evtchn::bindInterdomain>("bindInterdomain"),
                        InstanceMethod<&Evtchn::bindVirq>("bindVirq"),
                        InstanceMethod<&Evtchn::unbind>("unbind"),
                        InstanceMethod<&Evtchn::reset>("reset"),
                        InstanceMethod<&Evtchn::close>("close")});
  }

 private:
  int openFd(const Napi::CallbackInfo &info) const { return device_.fd(info.Env()); }

  // Each of these returns what the driver does: a port, or 0.
  template <typename Request>
  Napi::Value call(const Napi::CallbackInfo &info, unsigned long command, const char *name,
                   Request request) {
    const int result = ioctl(openFd(info), command, &request);
    if (result < 0) throwSystemError(info.Env(), errno, name);
    return Napi::Number::New(info.Env(), result);
  }

  Napi::Value fd(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), openFd(info));
  }

  // bindUnboundPort(remoteDomid): a new port for that domain to bind.
  Napi::Value bindUnboundPort(const Napi::CallbackInfo &info) {
    ioctl_evtchn_bind_unbound_port request = {};
    request.remote_domain = integerArgument(info, 0, "remoteDomid", kDomidMax);
    return call(info, IOCTL_EVTCHN_BIND_UNBOUND_PORT, "IOCTL_EVTCHN_BIND_UNBOUND_PORT", request);
  }

  // bindInterdomain(remoteDomid, remotePort): a local port connected to it.
  Napi::Value bindInterdomain(const Napi::CallbackInfo &info) {
    ioctl_evtchn_bind_interdomain request = {};
    request.remote_domain = integerArgument(info, 0, "remoteDomid", kDomidMax);
    request.remote_port = integerArgument(info, 1, "remotePort", kUint32Max);
    return call(info, IOCTL_EVTCHN_BIND_INTERDOMAIN, "IOCTL_EVTCHN_BIND_INTERDOMAIN", request);
  }

  // bindVirq(virq): a local port for a virtual interrupt.
  Napi::Value bindVirq(const Napi::CallbackInfo &info) {
    ioctl_evtchn_bind_virq request = {};
    request.virq = integerArgument(info, 0, "virq", kUint32Max);
    return call(info, IOCTL_EVTCHN_BIND_VIRQ, "IOCTL_EVTCHN_BIND_VIRQ", request);
  }

  Napi::Value unbind(const Napi::CallbackInfo &info) {
    ioctl_evtchn_unbind request = {};
    request.port = integerArgument(info, 0, "port", kUint32Max);
    return call(info, IOCTL_EVTCHN_UNBIND, "IOCTL_EVTCHN_UNBIND", request);
  }

  static void notify(const Napi::CallbackInfo &info, int fd) {
    ioctl_evtchn_notify request = {};
    request.port = integerArgument(info, 0, "port", kUint32Max);
    if (ioctl(fd, IOCTL_EVTCHN_NOTIFY, &request) < 0) {
      throwSystemError(info.Env(), errno, "IOCTL_EVTCHN_NOTIFY");
    }
  }

  // read(ports): fills the Uint32Array with ports that were signalled and are now masked, and
  // returns how many. Fails with EFBIG once the driver's ring has overflowed.
  static Napi::Value read(const Napi::CallbackInfo &info, int fd) {
    auto ports = typedArrayArgument<uint32_t>(info, 0, "ports", napi_uint32_array, kPortsMax);
    const ssize_t bytes = ::read(fd, ports.Data(), ports.ByteLength());
    if (bytes < 0 && errno != EAGAIN && errno != EINTR) throwSystemError(info.Env(), errno, "read");
    return Napi::Number::New(info.Env(), bytes < 0 ? 0 : bytes / sizeof(uint32_t));
  }

  // unmask(ports, count): lets the first `count` ports be signalled again.
  static void unmask(const Napi::CallbackInfo &info, int fd) {
    auto ports = typedArrayArgument<uint32_t>(info, 0, "ports", napi_uint32_array, kPortsMax);
    const uint32_t count = integerArgument(info, 1, "count", ports.ElementLength());
    if (count == 0) return;
    if (write(fd, ports.Data(), count * sizeof(uint32_t)) < 0) {
      throwSystemError(info.Env(), errno, "write");
    }
  }

  // reset(): empties the driver's ring after an overflow. The ports that were in it stay masked.
  void reset(const Napi::CallbackInfo &info) {
    if (ioctl(openFd(info), IOCTL_EVTCHN_RESET) < 0) {
      throwSystemError(info.Env(), errno, "IOCTL_EVTCHN_RESET");
    }
  }

  // Unbinds every port as well.
  void close(const Napi::CallbackInfo &) { device_.close(); }

  SharedDevice device_;
};

}  // namespace

void exportEvtchn(Napi::Env env, Napi::Object exports) {
  exports.Set("Evtchn", Evtchn::define(env));
}

}  // namespace paravane
