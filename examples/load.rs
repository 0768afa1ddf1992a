use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};
fn var(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or(default.into())
}
fn main() {
    let count: u64 = var("COUNT", "1000").parse().unwrap();
    let rate: u64 = var("RATE", "0").parse().unwrap();
    let fps: u64 = var("FPS", "100000").parse().unwrap();
    let topic = var("TOPIC", "x-alerts");
    let pad = "x".repeat(380);
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", var("SERVERS", "127.0.0.1:29092"))
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "500000")
        .set("linger.ms", "5")
        .create()
        .unwrap();
    let began = Instant::now();
    let run: u32 = rand::random();
    let mut next_new = 0u64;
    for i in 0..count {
        if rate > 0 {
            let due = Duration::from_secs_f64(i as f64 / rate as f64);
            while began.elapsed() < due {
                producer.poll(Duration::from_millis(1));
            }
        }
        let fresh = i % 100 == 99;
        let f = if fresh {
            next_new += 1;
            1_000_000 + next_new
        } else {
            rand::random::<u64>() % fps
        };
        let service = format!("svc-{}", f % 1000);
        let sev = if f % 10 == 0 { "critical" } else { "low" };
        let v = format!(
            r#"{{"service_id":"{service}","title":"Latency high {f}","description":"{pad}","severity":"{sev}","category":"model_performance","environment":"production","dedup_key":"{}{f}","labels":{{"metric_type":"latency","model_id":"gpt-4","region":"eu-west-1"}},"metadata":{{"current_value":{},"threshold":5.0,"unit":"s"}}}}"#,
            if fresh { format!("{run}-") } else { String::new() },
            i % 100
        );
        loop {
            match producer.send(BaseRecord::to(&topic).key(&service).payload(&v)) {
                Ok(()) => break,
                Err((_, _)) => {
                    producer.poll(Duration::from_millis(5));
                }
            }
        }
        if i % 1000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    println!("{count} in {:?}", began.elapsed());
}
