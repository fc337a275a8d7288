import com.google.cloud.tools.jib.api.Containerizer;
import com.google.cloud.tools.jib.api.Jib;
import com.google.cloud.tools.jib.api.JibContainerBuilder;
import com.google.cloud.tools.jib.api.RegistryImage;
import com.google.cloud.tools.jib.api.buildplan.AbsoluteUnixPath;
import com.google.cloud.tools.jib.api.buildplan.ImageFormat;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;

/**
 * Builds an image with jib-core: "make TARGET DIR" from nothing, "on BASE TARGET DIR" on another image.
 * Run as one source file: java -cp 'lib/*' Jib.java ...
 */
class Main {
  public static void main(String[] args) throws Exception {
    boolean onBase = args[0].equals("on");
    JibContainerBuilder builder =
        onBase ? Jib.from(RegistryImage.named(args[1])) : Jib.fromScratch().setFormat(ImageFormat.OCI);
    String target = args[args.length - 2];
    List<Path> files;
    try (Stream<Path> found = Files.list(Path.of(args[args.length - 1]))) {
      files = found.sorted().toList();
    }
    Path cache = Files.createTempDirectory("jib");
    var image =
        builder
            .addLayer(files, AbsoluteUnixPath.get("/app"))
            .setCreationTime(Instant.ofEpochSecond(1700000000))
            .containerize(
                Containerizer.to(RegistryImage.named(target))
                    .setAllowInsecureRegistries(true)
                    .setBaseImageLayersCache(cache.resolve("base"))
                    .setApplicationLayersCache(cache.resolve("application"))
                    .setToolName("soci-layout-test"));
    System.out.println(image.getDigest());
    System.exit(0);
  }
}
