//! Offers written in the manner of their makers.

/// A browser with all it has: BUNDLE, ICE that trickles, DTLS, a data channel.
pub(crate) const CHROME: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    a=group:BUNDLE 0 1 2\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS stream1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=candidate:3388485749 1 udp 2113937151 5d9bfa28-39c8-4b70-9a3e-1d3f05c0f6a1.local 54400 typ host generation 0 network-cost 999\r\n\
    a=candidate:842163049 1 udp 1677729535 203.0.113.44 54400 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\n\
    a=candidate:3344103149 1 tcp 1518280447 192.0.2.44 9 typ host tcptype active generation 0 network-cost 999\r\n\
    a=ice-ufrag:Qx7b\r\na=ice-pwd:4r0oT9xC6hWq8Lz3Vn1YfKe5\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
    a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\n\
    a=msid:stream1 track1\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
    a=rtpmap:126 telephone-event/8000\r\na=ssrc:2654435769 cname:fZyV7Xk2\r\na=ssrc:2654435769 msid:stream1 track1\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:Qx7b\r\n\
    a=ice-pwd:4r0oT9xC6hWq8Lz3Vn1YfKe5\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
    a=setup:actpass\r\na=mid:1\r\na=sendrecv\r\na=msid:stream1 track2\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
    a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack pli\r\n\
    a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc-group:FID 101 102\r\na=ssrc:101 cname:fZyV7Xk2\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Qx7b\r\n\
    a=ice-pwd:4r0oT9xC6hWq8Lz3Vn1YfKe5\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
    a=setup:actpass\r\na=mid:2\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

/// A browser that says once for all what holds for all.
pub(crate) const FIREFOX: &str = "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 8446744073709551 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
    a=sendrecv\r\na=fingerprint:sha-256 DC:AC:42:6E:5C:69:67:1B:51:4B:6A:5F:30:3F:3A:05:0E:1D:68:4C:6D:9D:0F:41:A0:2F:63:3B:1E:52:73:44\r\n\
    a=group:BUNDLE 0\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n\
    m=audio 61000 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\nc=IN IP4 203.0.113.20\r\n\
    a=candidate:0 1 UDP 2122252543 198.51.100.20 45001 typ host\r\n\
    a=candidate:1 1 UDP 1686052863 203.0.113.20 61000 typ srflx raddr 198.51.100.20 rport 45001\r\n\
    a=sendrecv\r\na=end-of-candidates\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\na=fmtp:101 0-15\r\n\
    a=ice-pwd:f1c0e7b3a95d2846f1c0e7b3a95d2846\r\na=ice-ufrag:8d2c6b0f\r\na=mid:0\r\na=msid:{a} {b}\r\na=rtcp-mux\r\n\
    a=rtpmap:109 opus/48000/2\r\na=rtpmap:9 G722/8000/1\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000/1\r\na=setup:actpass\r\na=ssrc:1234 cname:{c}\r\n";

/// A desk phone that insists on SRTP, as Yealink's do.
pub(crate) const SRTP_PHONE: &str = "v=0\r\no=- 20012 20012 IN IP4 192.0.2.61\r\ns=SDP data\r\nc=IN IP4 192.0.2.61\r\nt=0 0\r\n\
    m=audio 11796 RTP/SAVP 9 0 8 18 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=fmtp:101 0-15\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n\
    a=crypto:1 AES_CM_256_SOME_OTHER inline:NjAyMjg0NDM2MjE1Nzk2MDAzMDI0ODI2NDk5NzU2|2^31\r\n\
    a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NjAyMjg0NDM2MjE1Nzk2MDAzMDI0ODI2NDk5NzU2|2^31|1:4\r\n\
    a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:NDY3MTYyMzQ2OTIzNzA4ODE0NTI2ODM0Nzg0MTI5\r\na=sendrecv\r\n";

/// A conference phone with G.722.1, as Polycom's are.
pub(crate) const POLYCOM: &str = "v=0\r\no=- 1700000000 1700000000 IN IP4 192.0.2.70\r\ns=Polycom IP Phone\r\nc=IN IP4 192.0.2.70\r\n\
    b=AS:2064\r\nt=0 0\r\na=sendrecv\r\nm=audio 2228 RTP/AVP 99 115 9 0 8 18 127\r\na=rtpmap:99 G7221/16000\r\n\
    a=fmtp:99 bitrate=32000\r\na=rtpmap:115 G7221/16000\r\na=fmtp:115 bitrate=24000\r\na=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n\
    a=rtpmap:127 telephone-event/8000\r\n";

/// Wrong clocks and channels.
pub(crate) const GROUPED_PHONE: &str = "v=0\r\no=root 5 5 IN IP4 192.0.2.80\r\ns=-\r\nc=IN IP4 192.0.2.80\r\nt=0 0\r\n\
    m=audio 5004 RTP/AVP 107 9 8\r\na=rtpmap:107 OPUS/48000\r\na=rtpmap:9 G722/16000\r\na=rtpmap:8 PCMA/8000\r\n";

/// A carrier's gateway.
pub(crate) const G729_GATEWAY: &str = "v=0\r\no=BroadWorks 52 1 IN IP4 198.51.100.90\r\ns=-\r\nc=IN IP4 198.51.100.90\r\nt=0 0\r\n\
    m=audio 18500 RTP/AVP 18 8 96\r\na=fmtp:18 annexb=no\r\na=rtpmap:96 telephone-event/8000\r\na=maxptime:40\r\n";

/// Video before audio, and a medium of its own.
pub(crate) const VIDEO_PHONE: &str = "v=0\r\no=1002 3 3 IN IP4 192.0.2.90\r\ns=Talk\r\nc=IN IP4 192.0.2.90\r\nb=AS:1024\r\nt=0 0\r\n\
    a=rtcp-xr:rcvr-rtt=all:10000\r\na=x-call:7\r\na=sendrecv\r\n\
    m=video 9078 RTP/AVPF 96 97\r\ni=the camera\r\nc=IN IP4 192.0.2.91\r\nb=TIAS:900000\r\nk=clear:x\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 profile-level-id=42801F;packetization-mode=1\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n\
    a=rtpmap:97 VP8/90000\r\na=x-unknown:kept as it is\r\ny=an unknown line\r\na=ssrc:77 cname:camera\r\n\
    a=msid:s t\r\na=rtcp:9079\r\na=candidate:1 1 UDP 5 192.0.2.91 9078 typ host\r\na=sendonly\r\n\
    m=audio 7078 RTP/AVPF 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-fb:* trr-int 1000\r\n\
    m=x-whiteboard 7000 udp wb\r\na=colour:blue\r\n";

/// A gateway that turns a call into a fax.
pub(crate) const T38_GATEWAY: &str = "v=0\r\no=- 9 10 IN IP4 198.51.100.95\r\ns=-\r\nc=IN IP4 198.51.100.95\r\nt=0 0\r\n\
    m=audio 0 RTP/AVP 0\r\nm=image 4988 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\n\
    a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1800\r\na=T38FaxMaxDatagram:200\r\n\
    a=T38FaxUdpEC:t38UDPFEC\r\n";
