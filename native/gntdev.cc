// /dev/xen/gntdev, as xen/sys/gntdev.h describes it.
#include "addon.h"
#include "pages.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <vector>

extern "C" {
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>
}

namespace paravane {

namespace {

constexpr size_t kRefsMax = 65536;
constexpr size_t kCopiesMax = 65536;

// One copy as JavaScript writes it into its Uint32Array.
enum CopyWord { kRef, kDomid, kOffset, kLength, kKind, kLocal, kAt, kTargetDomid, kCopyWords };
// In place of kLocal and kAt where both sides are peers'.
constexpr CopyWord kTargetRef = kLocal;
constexpr CopyWord kTargetOffset = kAt;

// What stands at kKind.
enum CopyKind { kFromPeer, kToPeer, kBetweenPeers };

class Gntdev : public Napi::ObjectWrap<Gntdev> {
 public:
  explicit Gntdev(const Napi::CallbackInfo &info)
      : Napi::ObjectWrap<Gntdev>(info),
        device_(openDevice(info.Env(), "/dev/xen/gntdev")) {
    setOwnMethod(Value(), "copy",
                 [device = device_, segments = Segments()](const Napi::CallbackInfo &call) mutable {
                   copy(call, device, segments);
                 });
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Gntdev",
                       {InstanceMethod<&Gntdev::map>("map"),
                        InstanceMethod<&Gntdev::close>("close")});
  }

 private:
  // Of a batch of copies; kept for the next one.
  using Segments = std::vector<ioctl_gntdev_grant_copy_segment>;

  // map(domid, refs, clearByte?, notifyPort?): an ArrayBuffer over the pages granted by `refs`, in
  // order. At its end the kernel clears the byte at `clearByte` and signals `notifyPort`.
  Napi::Value map(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    const uint32_t domid = integerArgument(info, 0, "domid", kDomidMax);
    auto refs = typedArrayArgument<uint32_t>(info, 1, "refs", napi_uint32_array, kRefsMax);
    const size_t count = refs.ElementLength();
    const auto clearByte = optionalIntegerArgument(
        info, 2, "clearByte", static_cast<uint32_t>(count * kPageSize - 1));
    const auto notifyPort = optionalIntegerArgument(info, 3, "notifyPort", kUint32Max);
    const std::shared_ptr<Descriptor> device = device_.descriptor(env);

    const uint64_t index = addToTable(env, device->fd(), domid, refs);
    const auto release = [device, index, count] {
      ioctl_gntdev_unmap_grant_ref request = {};
      request.index = index;
      request.count = static_cast<uint32_t>(count);
      ioctl(device->fd(), IOCTL_GNTDEV_UNMAP_GRANT_REF, &request);
    };
    std::shared_ptr<Mapping> mapping;
    try {
      mapping = Mapping::create(env, device, static_cast<off_t>(index), count);
    } catch (...) {
      release();
      throw;
    }
    mapping->afterEnd(release);
    if (clearByte || notifyPort) setUnmapNotify(env, device->fd(), index, clearByte, notifyPort);
    return exposeMapping(env, std::move(mapping));
  }

  // Enters the grants into this handle's table; returns the offset at which mmap finds them.
  static uint64_t addToTable(Napi::Env env, int fd, uint32_t domid,
                             const Elements<uint32_t> &refs) {
    const size_t count = refs.ElementLength();
    const size_t bytes = offsetof(ioctl_gntdev_map_grant_ref, refs) +
                         count * sizeof(ioctl_gntdev_grant_ref);
    // In 64-bit words, so that the structure in them is aligned.
    std::vector<uint64_t> storage((bytes + sizeof(ioctl_gntdev_map_grant_ref)) / sizeof(uint64_t));
    auto *request = reinterpret_cast<ioctl_gntdev_map_grant_ref *>(storage.data());
    request->count = static_cast<uint32_t>(count);
    ioctl_gntdev_grant_ref *entries = request->refs;
    for (size_t i = 0; i < count; i++) entries[i] = {domid, refs[i]};
    if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, request) != 0) {
      throwSystemError(env, errno, "IOCTL_GNTDEV_MAP_GRANT_REF");
    }
    return request->index;
  }

  static void setUnmapNotify(Napi::Env env, int fd, uint64_t index,
                             std::optional<uint32_t> clearByte,
                             std::optional<uint32_t> notifyPort) {
    ioctl_gntdev_unmap_notify request = {};
    request.index = index + clearByte.value_or(0);
    request.action = (clearByte ? UNMAP_NOTIFY_CLEAR_BYTE : 0) |
                     (notifyPort ? UNMAP_NOTIFY_SEND_EVENT : 0);
    request.event_channel_port = notifyPort.value_or(0);
    if (ioctl(fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &request) != 0) {
      throwSystemError(env, errno, "IOCTL_GNTDEV_SET_UNMAP_NOTIFY");
    }
  }

  // copy(operations, locals, statuses, count): runs `count` grant copies. Copy i is described by
  // eight words of `operations`, and is answered in statuses[i]: ref, domid, offset in the peer's page,
  // length, 0 if from the peer and 1 if towards it, the number of a Uint8Array of `locals`, the byte of
  // it, and one that is not used. Or 2 if from that peer to another: then ref, offset and domid there.
  static void copy(const Napi::CallbackInfo &info, const SharedDevice &device,
                   Segments &segments) {
    Napi::Env env = info.Env();
    auto words = typedArrayArgument<uint32_t>(info, 0, "operations", napi_uint32_array,
                                              kCopiesMax * kCopyWords);
    if (!info[1].IsArray()) throw Napi::TypeError::New(env, "locals must be an array");
    const napi_value locals = info[1];
    auto statuses =
        typedArrayArgument<int16_t>(info, 2, "statuses", napi_int16_array, kCopiesMax);
    const size_t room = std::min(words.ElementLength() / kCopyWords, statuses.ElementLength());
    const uint32_t count = integerArgument(info, 3, "count", static_cast<uint32_t>(room));
    const int fd = device.fd(env);

    segments.resize(count);
    Local local;
    std::optional<uint32_t> current;
    for (uint32_t i = 0; i < count; i++) {
      const uint32_t *word = words.Data() + i * kCopyWords;
      if (word[kKind] == kBetweenPeers) {
        segments[i] = segmentBetween(env, word);
        continue;
      }
      // Most copies share the array of the one before, and looking one up takes longer than all else.
      if (word[kLocal] != current) local = localAt(env, locals, word[kLocal]);
      current = word[kLocal];
      segments[i] = segmentOf(env, word, local);
    }
    ioctl_gntdev_grant_copy request = {};
    request.count = count;
    request.segments = segments.data();
    if (ioctl(fd, IOCTL_GNTDEV_GRANT_COPY, &request) != 0) {
      throwSystemError(env, errno, "IOCTL_GNTDEV_GRANT_COPY");
    }
    for (uint32_t i = 0; i < count; i++) statuses[i] = segments[i].status;
  }

  struct Local {
    uint8_t *data = nullptr;
    size_t length = 0;
  };

  static Local localAt(Napi::Env env, napi_value locals, uint32_t index) {
    napi_value local;
    napi_typedarray_type kind;
    size_t length = 0;
    void *data = nullptr;
    if (napi_get_element(env, locals, index, &local) != napi_ok ||
        napi_get_typedarray_info(env, local, &kind, &length, &data, nullptr, nullptr) != napi_ok ||
        kind != napi_uint8_array) {
      throw Napi::TypeError::New(env, "a local side must be a Uint8Array");
    }
    return {static_cast<uint8_t *>(data), length};
  }

  static ioctl_gntdev_grant_copy_segment segmentOf(Napi::Env env, const uint32_t *word,
                                                   const Local &local) {
    const size_t length = word[kLength];
    // It may have been detached since the batch was filled.
    if (word[kAt] > local.length || length > local.length - word[kAt]) {
      throw Napi::RangeError::New(env, "a local side is shorter than its copy");
    }
    ioctl_gntdev_grant_copy_segment segment = {};
    const bool to_peer = word[kKind] == kToPeer;
    place(env, to_peer ? segment.dest : segment.source, word[kRef], word[kDomid], word[kOffset],
          length);
    (to_peer ? segment.source : segment.dest).virt = local.data + word[kAt];
    segment.len = static_cast<uint16_t>(length);
    segment.flags = to_peer ? GNTCOPY_dest_gref : GNTCOPY_source_gref;
    return segment;
  }

  static ioctl_gntdev_grant_copy_segment segmentBetween(Napi::Env env, const uint32_t *word) {
    const size_t length = word[kLength];
    ioctl_gntdev_grant_copy_segment segment = {};
    place(env, segment.source, word[kRef], word[kDomid], word[kOffset], length);
    place(env, segment.dest, word[kTargetRef], word[kTargetDomid], word[kTargetOffset], length);
    segment.len = static_cast<uint16_t>(length);
    segment.flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    return segment;
  }

  // One side of a segment, in a page that a peer has granted.
  template <typename Side>
  static void place(Napi::Env env, Side &side, uint32_t ref, uint32_t domid, uint32_t offset,
                    size_t length) {
    if (domid > kDomidMax) throw Napi::RangeError::New(env, "domid is out of range");
    if (length > kPageSize || offset > kPageSize - length) {
      throw Napi::RangeError::New(env, "a copy must lie within one page of the peer's");
    }
    side.foreign.ref = ref;
    side.foreign.domid = static_cast<uint16_t>(domid);
    side.foreign.offset = static_cast<uint16_t>(offset);
  }

  // Mappings made through it stay.
  void close(const Napi::CallbackInfo &) { device_.close(); }

  SharedDevice device_;
};

}  // namespace

void exportGntdev(Napi::Env env, Napi::Object exports) {
  exports.Set("Gntdev", Gntdev::define(env));
}

}  // namespace paravane
