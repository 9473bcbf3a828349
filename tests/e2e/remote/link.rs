//! The connection between both daemons, which a test can cut and restore.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub struct Link {
    address: SocketAddr,
    to: String,
    running: Mutex<JoinHandle<()>>,
}

impl Link {
    /// A connection to `base`, which is `http://` and an address.
    pub async fn to(base: &str) -> Self {
        let to = base.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = Mutex::new(run(listener, to.clone()));
        Self { address, to, running }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks all connections; new ones are refused.
    pub async fn cut(&self) {
        self.running.lock().unwrap().abort();
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    pub async fn restore(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.running.lock().unwrap() = run(listener, self.to.clone());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.running.lock().unwrap().abort();
    }
}

fn run(listener: TcpListener, to: String) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "a test's own relay, which ends with it")]
    tokio::spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let to = to.clone();
            open.spawn(async move {
                if let Ok(mut far) = TcpStream::connect(to).await {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    })
}
