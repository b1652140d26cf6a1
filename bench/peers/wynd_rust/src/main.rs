//! The Rust library `wynd` as a peer of the benchmark: `wynd-peer PORT echo|fanout`.

use wynd::wynd::{Standalone, Wynd};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .expect("usage: wynd-peer PORT echo|fanout");
    let fans_out = arguments.next().as_deref() == Some("fanout");
    let mut wynd: Wynd<Standalone> = Wynd::new();
    wynd.on_connection(move |conn| async move {
        conn.on_open(|_| async {}).await;
        conn.on_text(move |message, handle| async move {
            if fans_out {
                handle.broadcast.text(&message.data).await;
            } else {
                let _ = handle.send_text(&message.data).await;
            }
        });
    });
    wynd.listen(port, || {}).await.expect("listening failed");
}
