/* wire.h - what one message on Asterisk's event socket is, and whom it concerns.
 *
 * The table below is all that Tandem knows of ARI's event types as far as routing goes. A row:
 * our name, Asterisk's name, what the event is to us, and where in the JSON the ids of the objects
 * stand that it concerns, the most important first.
 * Source: Asterisk 22's own description of its interface; a test
 * compares this table with it. */
#ifndef ACTORS_ARI_WIRE_H
#define ACTORS_ARI_WIRE_H
#include <stddef.h>
#include <stdint.h>

enum ari_kind {
    ARI_NONE,     /* not an event at all: no type, not an object, or an error message */
    ARI_START,    /* a channel entered the app */
    ARI_END,      /* a channel left the app */
    ARI_EVENT,    /* something happened to the objects that the keys name */
    ARI_OFFER,    /* a channel is offered to several apps, or an offer is over: the claim policy decides */
    ARI_RESPONSE, /* the answer to a REST request that went over this socket: request_id */
    ARI_APP_REPLACED, /* another connection took `application` over */
    ARI_APP_ARRIVED,  /* an outbound socket now serves `application` */
    ARI_APP_GONE,     /* it no longer does */
};

/* "target" below: the value is "channel:ID" or "bridge:ID". "endpoint": the id is made of
 * technology and resource, "PJSIP/alice". */
#define ARI_EVENT_MAP(X)                                                                              \
    /* the life of a channel in an app */                                                             \
    X(STASIS_START, "StasisStart", START, "channel.id replace_channel.id")                            \
    X(STASIS_END, "StasisEnd", END, "channel.id")                                                     \
    X(CALL_BROADCAST, "CallBroadcast", OFFER, "channel.id")                                           \
    X(CALL_CLAIMED, "CallClaimed", OFFER, "channel.id")                                               \
    X(APPLICATION_MOVE_FAILED, "ApplicationMoveFailed", EVENT, "channel.id")                          \
    /* channels */                                                                                    \
    X(CHANNEL_CREATED, "ChannelCreated", EVENT, "channel.id")                                         \
    X(CHANNEL_DESTROYED, "ChannelDestroyed", EVENT, "channel.id")                                     \
    X(CHANNEL_STATE_CHANGE, "ChannelStateChange", EVENT, "channel.id")                                \
    X(CHANNEL_DTMF_RECEIVED, "ChannelDtmfReceived", EVENT, "channel.id")                              \
    X(CHANNEL_HANGUP_REQUEST, "ChannelHangupRequest", EVENT, "channel.id")                            \
    X(CHANNEL_DIALPLAN, "ChannelDialplan", EVENT, "channel.id")                                       \
    X(CHANNEL_CALLER_ID, "ChannelCallerId", EVENT, "channel.id")                                      \
    X(CHANNEL_CONNECTED_LINE, "ChannelConnectedLine", EVENT, "channel.id")                            \
    X(CHANNEL_HOLD, "ChannelHold", EVENT, "channel.id")                                               \
    X(CHANNEL_UNHOLD, "ChannelUnhold", EVENT, "channel.id")                                           \
    X(CHANNEL_TALKING_STARTED, "ChannelTalkingStarted", EVENT, "channel.id")                          \
    X(CHANNEL_TALKING_FINISHED, "ChannelTalkingFinished", EVENT, "channel.id")                        \
    X(CHANNEL_TONE_DETECTED, "ChannelToneDetected", EVENT, "channel.id")                              \
    X(CHANNEL_VARSET, "ChannelVarset", EVENT, "channel.id") /* none: a global variable */             \
    X(CHANNEL_USEREVENT, "ChannelUserevent", EVENT, "channel.id bridge.id endpoint")                  \
    X(CHANNEL_TRANSFER, "ChannelTransfer", EVENT,                                                     \
      "referred_by.source_channel.id referred_by.connected_channel.id referred_by.bridge.id "         \
      "refer_to.destination_channel.id refer_to.connected_channel.id refer_to.bridge.id")             \
    X(DIAL, "Dial", EVENT, "peer.id caller.id forwarded.id")                                          \
    /* playbacks and recordings */                                                                    \
    X(PLAYBACK_STARTED, "PlaybackStarted", EVENT, "playback.target_uri playback.id")                  \
    X(PLAYBACK_CONTINUING, "PlaybackContinuing", EVENT, "playback.target_uri playback.id")            \
    X(PLAYBACK_FINISHED, "PlaybackFinished", EVENT, "playback.target_uri playback.id")                \
    X(RECORDING_STARTED, "RecordingStarted", EVENT, "recording.target_uri recording.name")            \
    X(RECORDING_FINISHED, "RecordingFinished", EVENT, "recording.target_uri recording.name")          \
    X(RECORDING_FAILED, "RecordingFailed", EVENT, "recording.target_uri recording.name")              \
    /* bridges */                                                                                     \
    X(BRIDGE_CREATED, "BridgeCreated", EVENT, "bridge.id")                                            \
    X(BRIDGE_DESTROYED, "BridgeDestroyed", EVENT, "bridge.id")                                        \
    X(BRIDGE_MERGED, "BridgeMerged", EVENT, "bridge.id bridge_from.id")                               \
    X(BRIDGE_VIDEO_SOURCE_CHANGED, "BridgeVideoSourceChanged", EVENT, "bridge.id")                    \
    X(CHANNEL_ENTERED_BRIDGE, "ChannelEnteredBridge", EVENT, "channel.id bridge.id")                  \
    X(CHANNEL_LEFT_BRIDGE, "ChannelLeftBridge", EVENT, "channel.id bridge.id")                        \
    X(BRIDGE_BLIND_TRANSFER, "BridgeBlindTransfer", EVENT,                                            \
      "channel.id transferee.id replace_channel.id bridge.id")                                        \
    X(BRIDGE_ATTENDED_TRANSFER, "BridgeAttendedTransfer", EVENT,                                      \
      "transferer_first_leg.id transferer_second_leg.id replace_channel.id transferee.id "            \
      "transfer_target.id "                                                                           \
      "transferer_first_leg_bridge.id transferer_second_leg_bridge.id destination_bridge "            \
      "destination_link_first_leg.id destination_link_second_leg.id destination_threeway_channel.id " \
      "destination_threeway_bridge.id")                                                               \
    /* endpoints and devices */                                                                       \
    X(DEVICE_STATE_CHANGED, "DeviceStateChanged", EVENT, "device_state.name")                         \
    X(ENDPOINT_STATE_CHANGE, "EndpointStateChange", EVENT, "endpoint")                                \
    X(CONTACT_STATUS_CHANGE, "ContactStatusChange", EVENT, "endpoint")                                \
    X(PEER_STATUS_CHANGE, "PeerStatusChange", EVENT, "endpoint")                                      \
    X(TEXT_MESSAGE_RECEIVED, "TextMessageReceived", EVENT, "endpoint")                                \
    /* the connection itself */                                                                       \
    X(APPLICATION_REPLACED, "ApplicationReplaced", APP_REPLACED, "")                                  \
    X(APPLICATION_REGISTERED, "ApplicationRegistered", APP_ARRIVED, "")                               \
    X(APPLICATION_UNREGISTERED, "ApplicationUnregistered", APP_GONE, "")                              \
    X(REST_RESPONSE, "RESTResponse", RESPONSE, "")                                                    \
    X(MISSING_PARAMS, "MissingParams", NONE, "")

#define X(id, name, kind, keys) ARI_##id,
enum ari_event { ARI_UNKNOWN, ARI_EVENT_MAP(X) ARI_EVENTS_END };
#undef X

/* What an id names. Two objects of different kinds may have the same id. */
enum ari_object { ARI_CHANNEL, ARI_BRIDGE, ARI_ENDPOINT, ARI_DEVICE, ARI_PLAYBACK, ARI_RECORDING };

#define ARI_ID_BYTES      512 /* a longer id is malformed */
#define ARI_KEYS_MAX      40  /* every place where an id can stand, at once */
#define ARI_SCRATCH_BYTES (8 * ARI_ID_BYTES)

/* Text within the message, or within the scratch buffer; not ended by NUL. */
struct ari_text {
    const char *at;
    size_t bytes;
};

struct ari_key {
    enum ari_object object;
    struct ari_text id;
};

struct ari_frame {
    enum ari_event event; /* ARI_UNKNOWN: a type that is not in the table; `type` has it */
    enum ari_kind kind;
    struct ari_text type;
    struct ari_text application; /* empty when it is not there */
    struct ari_text request_id;  /* of a RESTResponse */
    uint32_t keys;
    uint32_t bad_ids; /* ids left out: longer than ARI_ID_BYTES, or the scratch buffer was full */
    struct ari_key key[ARI_KEYS_MAX];
};

/* Where a message is malformed, and how. */
struct ari_fault {
    size_t at;
    const char *word; /* static */
};

/* Read one message. Texts that cannot be taken from the message as they are (an escape in an id,
 * the two halves of an endpoint) are put into `scratch`; the frame is valid as long as both.
 *
 * Unknown types are events like others (rule 7 of 10.1): the keys are then all ids found in any
 * place that a known type uses. A member of an unexpected JSON type, an empty id and a target of
 * another form give no key. An id that stands in two places gives one key.
 * Threads: any.
 * Errors:  TDM_ESYNTAX not JSON, with `fault` filled (may be NULL); TDM_ETOOBIG above 4 GiB. */
int ari_wire_scan(struct ari_frame *frame, const char *text, size_t bytes, char *scratch,
                  size_t scratch_bytes, struct ari_fault *fault);

/* "channel", "bridge", "endpoint", "device", "playback", "recording": the words that dispatch knows. */
const char *ari_wire_object(enum ari_object object);

/* "StasisStart"; "unknown" for ARI_UNKNOWN. The kind and the row of keys as in the table. */
const char *ari_wire_name(enum ari_event event);
enum ari_kind ari_wire_kind(enum ari_event event);
const char *ari_wire_places(enum ari_event event);

#endif
