// /dev/xen/privcmd and /dev/xen/hypercall, as xen/sys/privcmd.h describes them.
//
// A hypercall takes addresses, and an address from JavaScript could point anywhere. So only the
// hypercalls of a closed table can be made: JavaScript hands over the operation's bytes and a
// buffer, the shim puts both into memory of its own and writes the pointers itself.
#include "addon.h"
#include "pages.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

// The tools' part of the headers, which holds sysctl.
#define __XEN_TOOLS__ 1
extern "C" {
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/sysctl.h>
#include <xen/sys/privcmd.h>
}

namespace paravane {

namespace {

constexpr uint32_t kFramesMax = 65536;
constexpr size_t kBufferBytesMax = 64 * 1024;

// More than any Xen's struct xen_domctl_getdomaininfo, whose size differs between versions.
constexpr uint32_t kDomainInfoBytesMax = 512;
static_assert(sizeof(xen_domctl_getdomaininfo_t) <= kDomainInfoBytesMax);

// One sysctl: where its pointer to a buffer stands, and where the number of elements that fit.
struct Sysctl {
  const char *name;
  uint32_t cmd;
  size_t pointerOffset;
  size_t countOffset;
  uint32_t elementBytes;
};

constexpr Sysctl kSysctls[] = {
    {"getdomaininfolist", XEN_SYSCTL_getdomaininfolist,
     offsetof(xen_sysctl, u.getdomaininfolist.buffer),
     offsetof(xen_sysctl, u.getdomaininfolist.max_domains), kDomainInfoBytesMax},
    {"readconsole", XEN_SYSCTL_readconsole, offsetof(xen_sysctl, u.readconsole.buffer),
     offsetof(xen_sysctl, u.readconsole.count), 1},
};

class Privcmd : public Napi::ObjectWrap<Privcmd> {
 public:
  explicit Privcmd(const Napi::CallbackInfo &info)
      : Napi::ObjectWrap<Privcmd>(info),
        descriptor_(openDevice(info.Env(), "/dev/xen/privcmd")),
        // Memory of this device is never moved or swapped while Xen writes to it.
        memory_(Mapping::create(info.Env(), openDevice(info.Env(), "/dev/xen/hypercall"), 0,
                                1 + kBufferBytesMax / kPageSize)) {}

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Privcmd",
                       {InstanceMethod<&Privcmd::mapForeign>("mapForeign"),
                        InstanceMethod<&Privcmd::mapResource>("mapResource"),
                        InstanceMethod<&Privcmd::sysctl>("sysctl"),
                        InstanceMethod<&Privcmd::eventChannelStatus>("eventChannelStatus"),
                        InstanceMethod<&Privcmd::close>("close")});
  }

 private:
  // mapForeign(domid, gfns): an ArrayBuffer over those frames of a domain (a BigUint64Array).
  Napi::Value mapForeign(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    const uint32_t domid = integerArgument(info, 0, "domid", kDomidMax);
    auto gfns = typedArrayArgument<uint64_t>(info, 1, "gfns", napi_biguint64_array, kFramesMax);
    openDescriptor(env, descriptor_);
    const size_t count = gfns.ElementLength();

    auto mapping = Mapping::create(env, descriptor_, 0, count);
    const std::vector<xen_pfn_t> frames(gfns.Data(), gfns.Data() + count);
    std::vector<int> errors(count);
    privcmd_mmapbatch_v2_t request = {};
    request.num = static_cast<unsigned int>(count);
    request.dom = static_cast<domid_t>(domid);
    request.addr = reinterpret_cast<uintptr_t>(mapping->base());
    request.arr = frames.data();
    request.err = errors.data();
    if (ioctl(descriptor_->fd(), IOCTL_PRIVCMD_MMAPBATCH_V2, &request) != 0) {
      throwSystemError(env, errno, "IOCTL_PRIVCMD_MMAPBATCH_V2");
    }
    // Touching a page that was not mapped kills the process, so it is all pages or none.
    const auto failed = std::find_if(errors.begin(), errors.end(), [](int e) { return e != 0; });
    if (failed != errors.end()) {
      throwSystemError(env, std::abs(*failed), "IOCTL_PRIVCMD_MMAPBATCH_V2");
    }
    return exposeMapping(env, std::move(mapping));
  }

  // mapResource(domid, type, id, firstFrame, count): an ArrayBuffer over frames of a resource that
  // Xen keeps for a domain, XENMEM_resource_… of memory.h.
  Napi::Value mapResource(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    privcmd_mmap_resource_t request = {};
    request.dom = static_cast<domid_t>(integerArgument(info, 0, "domid", kDomidMax));
    request.type = integerArgument(info, 1, "type", kUint32Max);
    request.id = integerArgument(info, 2, "id", kUint32Max);
    request.idx = integerArgument(info, 3, "firstFrame", kUint32Max);
    request.num = integerArgument(info, 4, "count", kFramesMax, 1);
    openDescriptor(env, descriptor_);

    auto mapping = Mapping::create(env, descriptor_, 0, request.num);
    request.addr = reinterpret_cast<uintptr_t>(mapping->base());
    if (ioctl(descriptor_->fd(), IOCTL_PRIVCMD_MMAP_RESOURCE, &request) != 0) {
      throwSystemError(env, errno, "IOCTL_PRIVCMD_MMAP_RESOURCE");
    }
    return exposeMapping(env, std::move(mapping));
  }

  // sysctl(name, operation, buffer): makes one of the known calls. `operation` is a struct
  // xen_sysctl, in which the shim sets cmd, the pointer and the number of elements that fit into
  // `buffer`; both are filled with Xen's answer.
  void sysctl(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    if (!info[0].IsString()) throw Napi::TypeError::New(env, "name must be a string");
    const std::string name = info[0].As<Napi::String>();
    const auto known = std::find_if(std::begin(kSysctls), std::end(kSysctls),
                                    [&name](const Sysctl &entry) { return name == entry.name; });
    if (known == std::end(kSysctls)) throw Napi::RangeError::New(env, "no such sysctl: " + name);
    auto operation = typedArrayArgument<uint8_t>(info, 1, "operation", napi_uint8_array,
                                                 sizeof(xen_sysctl));
    if (operation.ElementLength() != sizeof(xen_sysctl)) {
      throw Napi::RangeError::New(env, "operation must be one struct xen_sysctl");
    }
    auto buffer =
        typedArrayArgument<uint8_t>(info, 2, "buffer", napi_uint8_array, kBufferBytesMax);
    openDescriptor(env, descriptor_);

    auto *argument = static_cast<uint8_t *>(memory_->base());
    uint8_t *target = argument + kPageSize;
    const uint64_t pointer = reinterpret_cast<uintptr_t>(target);
    const uint32_t count = static_cast<uint32_t>(buffer.ElementLength()) / known->elementBytes;
    std::memcpy(argument, operation.Data(), sizeof(xen_sysctl));
    std::memcpy(argument + offsetof(xen_sysctl, cmd), &known->cmd, sizeof known->cmd);
    std::memcpy(argument + known->pointerOffset, &pointer, sizeof pointer);
    std::memcpy(argument + known->countOffset, &count, sizeof count);
    std::memset(target, 0, buffer.ElementLength());

    privcmd_hypercall_t call = {};
    call.op = __HYPERVISOR_sysctl;
    call.arg[0] = reinterpret_cast<uintptr_t>(argument);
    if (ioctl(descriptor_->fd(), IOCTL_PRIVCMD_HYPERCALL, &call) < 0) {
      throwSystemError(env, errno, known->name);
    }
    std::memcpy(operation.Data(), argument, sizeof(xen_sysctl));
    std::memcpy(buffer.Data(), target, buffer.ElementLength());
  }

  // eventChannelStatus(operation): asks for one port; `operation` is a struct evtchn_status, which
  // is filled with Xen's answer.
  void eventChannelStatus(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    auto operation = typedArrayArgument<uint8_t>(info, 0, "operation", napi_uint8_array,
                                                 sizeof(evtchn_status));
    if (operation.ElementLength() != sizeof(evtchn_status)) {
      throw Napi::RangeError::New(env, "operation must be one struct evtchn_status");
    }
    openDescriptor(env, descriptor_);
    std::memcpy(memory_->base(), operation.Data(), sizeof(evtchn_status));

    privcmd_hypercall_t call = {};
    call.op = __HYPERVISOR_event_channel_op;
    call.arg[0] = EVTCHNOP_status;
    call.arg[1] = reinterpret_cast<uintptr_t>(memory_->base());
    if (ioctl(descriptor_->fd(), IOCTL_PRIVCMD_HYPERCALL, &call) < 0) {
      throwSystemError(env, errno, "EVTCHNOP_status");
    }
    std::memcpy(operation.Data(), memory_->base(), sizeof(evtchn_status));
  }

  // Frames mapped through it stay.
  void close(const Napi::CallbackInfo &) {
    descriptor_.reset();
    memory_.reset();
  }

  std::shared_ptr<Descriptor> descriptor_;
  std::shared_ptr<Mapping> memory_;
};

}  // namespace

void exportPrivcmd(Napi::Env env, Napi::Object exports) {
  exports.Set("Privcmd", Privcmd::define(env));
}

}  // namespace paravane
