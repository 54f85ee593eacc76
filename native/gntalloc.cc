// /dev/xen/gntalloc, as xen/sys/gntalloc.h describes it.
#include "addon.h"
#include "pages.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <vector>

extern "C" {
#include <xen/xen.h>
#include <xen/sys/gntalloc.h>
}

namespace paravane {

namespace {

constexpr uint32_t kPagesMax = 65536;

class Gntalloc : public Napi::ObjectWrap<Gntalloc> {
 public:
  explicit Gntalloc(const Napi::CallbackInfo &info)
      : Napi::ObjectWrap<Gntalloc>(info),
        descriptor_(openDevice(info.Env(), "/dev/xen/gntalloc")) {}

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Gntalloc",
                       {InstanceMethod<&Gntalloc::share>("share"),
                        InstanceMethod<&Gntalloc::close>("close")});
  }

 private:
  // share(domid, count, writable, clearByte?, notifyPort?): `count` zeroed pages of ours granted to
  // a domain, as { buffer, refs }. At their end the kernel clears a byte and signals a port.
  Napi::Value share(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    const uint32_t domid = integerArgument(info, 0, "domid", kDomidMax);
    const uint32_t count = integerArgument(info, 1, "count", kPagesMax, 1);
    const bool writable = booleanArgument(info, 2, "writable");
    const auto clearByte = optionalIntegerArgument(
        info, 3, "clearByte", static_cast<uint32_t>(count * kPageSize - 1));
    const auto notifyPort = optionalIntegerArgument(info, 4, "notifyPort", kUint32Max);
    openDescriptor(env, descriptor_);

    // In 64-bit words, so that the structure in them is aligned.
    std::vector<uint64_t> storage(
        (sizeof(ioctl_gntalloc_alloc_gref) + count * sizeof(uint32_t)) / sizeof(uint64_t) + 1);
    auto *request = reinterpret_cast<ioctl_gntalloc_alloc_gref *>(storage.data());
    request->domid = static_cast<uint16_t>(domid);
    request->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
    request->count = count;
    if (ioctl(descriptor_->fd(), IOCTL_GNTALLOC_ALLOC_GREF, request) != 0) {
      throwSystemError(env, errno, "IOCTL_GNTALLOC_ALLOC_GREF");
    }

    // From here on only the mapping keeps the grants: the driver's own hold on them goes at the end
    // of this scope, so that munmap alone, or our death, ends them.
    const Deallocation deallocation(descriptor_->fd(), request->index, count);
    auto mapping =
        Mapping::create(env, descriptor_, static_cast<off_t>(request->index), count);
    if (clearByte || notifyPort) setUnmapNotify(env, request->index, clearByte, notifyPort);

    auto refs = Napi::Uint32Array::New(env, count);
    const uint32_t *granted = request->gref_ids;
    for (uint32_t i = 0; i < count; i++) refs[i] = granted[i];
    auto result = Napi::Object::New(env);
    result.Set("buffer", exposeMapping(env, std::move(mapping)));
    result.Set("refs", refs);
    return result;
  }

  class Deallocation {
   public:
    Deallocation(int fd, uint64_t index, uint32_t count) : fd_(fd) {
      request_.index = index;
      request_.count = count;
    }
    ~Deallocation() { ioctl(fd_, IOCTL_GNTALLOC_DEALLOC_GREF, &request_); }
    Deallocation(const Deallocation &) = delete;
    Deallocation &operator=(const Deallocation &) = delete;

   private:
    const int fd_;
    ioctl_gntalloc_dealloc_gref request_ = {};
  };

  void setUnmapNotify(Napi::Env env, uint64_t index, std::optional<uint32_t> clearByte,
                      std::optional<uint32_t> notifyPort) {
    ioctl_gntalloc_unmap_notify request = {};
    request.index = index + clearByte.value_or(0);
    request.action = (clearByte ? UNMAP_NOTIFY_CLEAR_BYTE : 0) |
                     (notifyPort ? UNMAP_NOTIFY_SEND_EVENT : 0);
    request.event_channel_port = notifyPort.value_or(0);
    if (ioctl(descriptor_->fd(), IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &request) != 0) {
      throwSystemError(env, errno, "IOCTL_GNTALLOC_SET_UNMAP_NOTIFY");
    }
  }

  // Pages shared through it stay.
  void close(const Napi::CallbackInfo &) { descriptor_.reset(); }

  std::shared_ptr<Descriptor> descriptor_;
};

}  // namespace

void exportGntalloc(Napi::Env env, Napi::Object exports) {
  exports.Set("Gntalloc", Gntalloc::define(env));
}

}  // namespace paravane
