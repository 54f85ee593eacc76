// TAP devices: /dev/net/tun, as linux/if_tun.h describes it, and what ioctl(2) tells and changes of an
// interface. Each frame is preceded by a virtio-net header, so that large segments cross whole.
#include "addon.h"
#include "guard.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

// This header names a field by a word that is C++'s own.
#define class class_
#include <linux/virtio_net.h>
#undef class

namespace paravane {

namespace {

constexpr size_t kHeaderSize = sizeof(virtio_net_hdr);
// The header, and the checksum that the kernel is to find in the frame where it completes one.
constexpr size_t kWriteHeaderSize = kHeaderSize + sizeof(uint16_t);
// Bytes of one frame, and of the memory for a batch.
constexpr size_t kFrameMax = 0xffff;
constexpr size_t kMemoryMax = 1 << 24;
// Frames of one call.
constexpr size_t kBatchMax = 1024;
// Words that tell of one frame that was read: where it begins, its header included, and its bytes.
constexpr size_t kWordsPerFrame = 2;

ifreq requestFor(const std::string &name) {
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

// The interface's name; one of `IFNAMSIZ` characters or more is a RangeError.
std::string nameArgument(const Napi::CallbackInfo &info, size_t index) {
  if (!info[index].IsString()) throw Napi::TypeError::New(info.Env(), "name must be a string");
  std::string name = info[index].As<Napi::String>().Utf8Value();
  if (name.empty() || name.size() >= IFNAMSIZ || name.find('\0') != std::string::npos) {
    throw Napi::RangeError::New(info.Env(), "name must have from 1 to " +
                                                std::to_string(IFNAMSIZ - 1) + " characters");
  }
  return name;
}

// new Tap(name): opens the TAP device of that name, which is made where there is none.
class Tap : public Napi::ObjectWrap<Tap> {
 public:
  explicit Tap(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Tap>(info) {
    Napi::Env env = info.Env();
    name_ = nameArgument(info, 0);
    auto descriptor = openDevice(env, "/dev/net/tun", O_NONBLOCK);
    ifreq request = requestFor(name_);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(descriptor->fd(), TUNSETIFF, &request) < 0) throwSystemError(env, errno, "TUNSETIFF");
    int size = kHeaderSize;
    if (ioctl(descriptor->fd(), TUNSETVNETHDRSZ, &size) < 0) {
      throwSystemError(env, errno, "TUNSETVNETHDRSZ");
    }
    // All that the network protocol of Xen can carry; the kernel does the rest itself.
    const unsigned long offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    if (ioctl(descriptor->fd(), TUNSETOFFLOAD, offloads) < 0) {
      throwSystemError(env, errno, "TUNSETOFFLOAD");
    }
    device_ = std::make_unique<SharedDevice>(std::move(descriptor));
    setOwnMethod(Value(), "read", [device = *device_](const Napi::CallbackInfo &call) {
      return read(call, device.fd(call.Env()));
    });
    setOwnMethod(Value(), "write", [device = *device_](const Napi::CallbackInfo &call) {
      return write(call, device.fd(call.Env()));
    });
    control_ = std::make_unique<Descriptor>(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (control_->fd() < 0) throwSystemError(env, errno, "socket");
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Tap",
                       {InstanceAccessor<&Tap::fd>("fd"),
                        InstanceMethod<&Tap::persist>("persist"),
                        InstanceMethod<&Tap::setCarrier>("setCarrier"),
                        InstanceMethod<&Tap::setMtu>("setMtu"),
                        InstanceMethod<&Tap::bringUp>("bringUp"),
                        InstanceMethod<&Tap::readAddress>("readAddress"),
                        InstanceMethod<&Tap::setAddress>("setAddress"),
                        InstanceMethod<&Tap::joinBridge>("joinBridge"),
                        InstanceMethod<&Tap::close>("close")});
  }

 private:
  int openFd(const Napi::CallbackInfo &info) const {
    return device_->fd(info.Env());
  }

  Napi::Value fd(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), openFd(info));
  }

  // persist(on): whether the device stays when nobody has it open any more.
  void persist(const Napi::CallbackInfo &info) {
    const unsigned long on = booleanArgument(info, 0, "on") ? 1 : 0;
    if (ioctl(openFd(info), TUNSETPERSIST, on) < 0) {
      throwSystemError(info.Env(), errno, "TUNSETPERSIST");
    }
  }

  // setCarrier(on): whether the host sees a cable in it.
  void setCarrier(const Napi::CallbackInfo &info) {
    int on = booleanArgument(info, 0, "on") ? 1 : 0;
    if (ioctl(openFd(info), TUNSETCARRIER, &on) < 0) {
      throwSystemError(info.Env(), errno, "TUNSETCARRIER");
    }
  }

  void control(const Napi::CallbackInfo &info, unsigned long command, const char *name,
               ifreq &request) {
    openFd(info);
    if (ioctl(control_->fd(), command, &request) < 0) {
      throwSystemError(info.Env(), errno, name, name_.c_str());
    }
  }

  void setMtu(const Napi::CallbackInfo &info) {
    ifreq request = requestFor(name_);
    request.ifr_mtu = static_cast<int>(integerArgument(info, 0, "mtu", kFrameMax, 1));
    control(info, SIOCSIFMTU, "SIOCSIFMTU", request);
  }

  void bringUp(const Napi::CallbackInfo &info) {
    ifreq request = requestFor(name_);
    control(info, SIOCGIFFLAGS, "SIOCGIFFLAGS", request);
    request.ifr_flags |= IFF_UP;
    control(info, SIOCSIFFLAGS, "SIOCSIFFLAGS", request);
  }

  uint8_t *addressArgument(const Napi::CallbackInfo &info) {
    auto address = typedArrayArgument<uint8_t>(info, 0, "address", napi_uint8_array, IFHWADDRLEN);
    if (address.ByteLength() == IFHWADDRLEN) return address.Data();
    throw Napi::RangeError::New(info.Env(), "address must have six bytes");
  }

  // readAddress(address): the MAC address that the host uses on it.
  void readAddress(const Napi::CallbackInfo &info) {
    uint8_t *address = addressArgument(info);
    ifreq request = requestFor(name_);
    control(info, SIOCGIFHWADDR, "SIOCGIFHWADDR", request);
    std::memcpy(address, request.ifr_hwaddr.sa_data, IFHWADDRLEN);
  }

  void setAddress(const Napi::CallbackInfo &info) {
    ifreq request = requestFor(name_);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request.ifr_hwaddr.sa_data, addressArgument(info), IFHWADDRLEN);
    control(info, SIOCSIFHWADDR, "SIOCSIFHWADDR", request);
  }

  // joinBridge(bridge): makes it a port of one of the host's bridges.
  void joinBridge(const Napi::CallbackInfo &info) {
    const std::string bridge = nameArgument(info, 0);
    openFd(info);
    ifreq request = requestFor(bridge);
    request.ifr_ifindex = static_cast<int>(if_nametoindex(name_.c_str()));
    if (request.ifr_ifindex == 0) throwSystemError(info.Env(), errno, "if_nametoindex", name_.c_str());
    if (ioctl(control_->fd(), SIOCBRADDIF, &request) < 0) {
      throwSystemError(info.Env(), errno, "SIOCBRADDIF", bridge.c_str());
    }
  }

  // read(memory, places): as many frames as there are and as have room, each after its header and
  // with its own first byte at a page of `memory`: that is how they are copied to guests with the
  // least work. Puts two words for each into `places`: where its header begins in `memory`, and its
  // bytes with that. Returns how many, or a negative errno where there is none.
  static Napi::Value read(const Napi::CallbackInfo &info, int fd) {
    auto memory = typedArrayArgument<uint8_t>(info, 0, "memory", napi_uint8_array, kMemoryMax);
    auto places = typedArrayArgument<uint32_t>(info, 1, "places", napi_uint32_array,
                                               kBatchMax * kWordsPerFrame);
    const size_t most = places.ElementLength() / kWordsPerFrame;
    size_t page = kPageSize;
    size_t count = 0;
    while (count < most && page + kFrameMax <= memory.ByteLength()) {
      const size_t start = page - kHeaderSize;
      const ssize_t length = ::read(fd, memory.Data() + start, kHeaderSize + kFrameMax);
      if (length < 0) {
        if (errno == EINTR) continue;
        if (count == 0) return Napi::Number::New(info.Env(), -errno);
        break;
      }
      places.Data()[count * kWordsPerFrame] = static_cast<uint32_t>(start);
      places.Data()[count * kWordsPerFrame + 1] = static_cast<uint32_t>(length);
      // The next header needs room before its frame's page.
      const size_t pages = (static_cast<size_t>(length) + kPageSize - 1) / kPageSize;
      page += pages * kPageSize;
      count++;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  }

  // write(header, frame): one frame. The header is a virtio-net header and two bytes more: where it asks
  // for a checksum, these stand in the frame's place for it, whatever the frame has there. Returns 0
  // or a negative errno.
  static Napi::Value write(const Napi::CallbackInfo &info, int fd) {
    Napi::Env env = info.Env();
    auto header = typedArrayArgument<uint8_t>(info, 0, "header", napi_uint8_array, kWriteHeaderSize);
    auto frame = typedArrayArgument<uint8_t>(info, 1, "frame", napi_uint8_array, kFrameMax);
    if (header.ByteLength() != kWriteHeaderSize) {
      throw Napi::RangeError::New(env, "header must have " + std::to_string(kWriteHeaderSize) +
                                           " bytes");
    }
    virtio_net_hdr fields;
    std::memcpy(&fields, header.Data(), kHeaderSize);
    iovec parts[4] = {{header.Data(), kHeaderSize}, {frame.Data(), frame.ByteLength()}, {}, {}};
    int used = 2;
    if ((fields.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
      const size_t place = size_t{fields.csum_start} + fields.csum_offset;
      const size_t after = place + sizeof(uint16_t);
      if (after > frame.ByteLength()) {
        throw Napi::RangeError::New(env, "the place of the checksum must be in the frame");
      }
      parts[1].iov_len = place;
      parts[2] = {header.Data() + kHeaderSize, sizeof(uint16_t)};
      parts[3] = {frame.Data() + after, frame.ByteLength() - after};
      used = 4;
    }
    ssize_t length;
    do {
      length = writev(fd, parts, used);
    } while (length < 0 && errno == EINTR);
    return Napi::Number::New(env, length < 0 ? -errno : 0);
  }

  void close(const Napi::CallbackInfo &) {
    device_->close();
    control_.reset();
  }

  std::string name_;
  std::unique_ptr<SharedDevice> device_;
  std::unique_ptr<Descriptor> control_;
};

}  // namespace

void exportTap(Napi::Env env, Napi::Object exports) {
  exports.Set("Tap", Tap::define(env));
}

}  // namespace paravane
